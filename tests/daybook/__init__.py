"""The program: its settings, services, command line and import."""
