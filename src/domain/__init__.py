"""What can happen and what is refused: pure functions over events, no I/O and no clock."""
