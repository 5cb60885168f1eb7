"""Tests of the views: given events, then rows; then the same against a real Postgres."""
