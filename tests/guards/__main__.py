"""Takes guards out from a command line."""

import sys

from tests.guards.command_line import main

sys.exit(main(sys.argv[1:]))
