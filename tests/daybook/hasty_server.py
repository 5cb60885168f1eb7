"""The shipped server with less patience, so that tests of its patience are short.

`python -m tests.daybook.hasty_server` runs it as `daybook serve` runs the shipped one.
"""

import os

from litestar import Litestar

from api import request
from daybook.api import both_sides
from daybook.logs import configure_logs
from daybook.processes import programs
from daybook.settings import Settings

SECONDS = 2


def app() -> Litestar:
    """Return the shipped application; a body has two seconds to arrive."""
    request.BODY_SECONDS = SECONDS
    return both_sides()


if __name__ == "__main__":
    configure_logs()
    programs.HEADER_SECONDS = SECONDS
    programs.FACTORIES["all"] = "tests.daybook.hasty_server:app"
    programs.serve(Settings.from_environment(os.environ), "all")
