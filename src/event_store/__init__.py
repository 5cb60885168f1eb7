"""The log: append, read, follow; which event has which name; all of it on Postgres."""
