"""What can be typed, what it does on this machine, and what is printed."""
