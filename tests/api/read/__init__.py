"""Tests of the read side, over both sides in one process."""
