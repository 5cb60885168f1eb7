"""Secrets: the master key of personal data, the keys that sign tokens, and who is forgotten."""
