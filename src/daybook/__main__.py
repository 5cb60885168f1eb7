"""Lets `python -m daybook` be the command line."""

from daybook.cli import main

if __name__ == "__main__":
    main()
