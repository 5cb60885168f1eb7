"""What is done about what operators ask."""
