"""HTTP and only HTTP: what both sides share; commands are in `write`, views in `read`."""
