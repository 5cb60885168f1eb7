"""What the system can be asked to do; one file a command, and `ls` is the menu."""
