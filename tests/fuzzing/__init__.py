"""Requests that schemathesis makes up from the documents alone; `make fuzz` has thousands."""
