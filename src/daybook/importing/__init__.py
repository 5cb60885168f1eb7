"""Orders from files of other systems."""
