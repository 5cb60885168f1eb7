"""Tests of the log's evidence."""
