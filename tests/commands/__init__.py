"""What each command does and refuses, through the log of a real Postgres."""
