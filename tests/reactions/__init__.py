"""The reactions, on a real Postgres and a real SMTP server."""
