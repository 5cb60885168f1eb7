"""The program: settings, command line, embedded services, and how each process is put together."""
