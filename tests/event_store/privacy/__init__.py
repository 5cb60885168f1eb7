"""Tests of how personal fields are kept in the log."""
