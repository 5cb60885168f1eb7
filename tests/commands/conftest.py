"""A fresh, migrated database for every test."""

from tests.event_store.conftest import database_url

__all__ = ["database_url"]
