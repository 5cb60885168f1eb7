"""Postgres and Valkey that Daybook runs itself."""
