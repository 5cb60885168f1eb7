"""What the system can tell; one read table, one file: columns, how events move it, queries."""
