"""Runs chaos from a command line."""

import sys

from tests.chaos.command_line import main

sys.exit(main(sys.argv[1:]))
