"""The shipped server without encryption: what it appends is stored as it was meant.

`python -m benchmarks.unsealed_app` runs it as `daybook serve` runs the shipped one. Nobody can sign
in there: addresses are looked for by their hash.
"""

import os

from litestar import Litestar

from daybook.api import both_sides
from daybook.logs import configure_logs
from daybook.processes import programs
from daybook.settings import Settings
from event_store.privacy.sealer import Sealer
from event_store.records import Append


async def as_it_is(_: Sealer, command: Append) -> Append:
    """Return a command as it came."""
    return command


def app() -> Litestar:
    """Return the shipped application with a sealer that does nothing."""
    setattr(Sealer, "sealed", as_it_is)  # noqa: B010 - this is what is measured
    return both_sides()


if __name__ == "__main__":
    configure_logs()
    programs.FACTORIES["all"] = "benchmarks.unsealed_app:app"
    programs.serve(Settings.from_environment(os.environ), "all")
