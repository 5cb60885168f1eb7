"""Personal fields in the log: encrypted for each person under a key that can be destroyed."""
