"""What the log promises, on a real Postgres, also when connections break."""
