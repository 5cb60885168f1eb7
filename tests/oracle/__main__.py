"""Runs the oracle from a command line."""

if __name__ == "__main__":  # the processes of a run load this file too, and need nothing of it
    import sys

    from tests.oracle.command_line import main

    sys.exit(main(sys.argv[1:]))
