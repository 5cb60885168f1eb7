"""Tests of questions over history."""
