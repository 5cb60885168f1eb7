"""The recorders, by the package's own test cases and under faults."""
