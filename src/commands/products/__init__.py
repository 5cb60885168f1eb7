"""What can be asked about the catalogue."""
