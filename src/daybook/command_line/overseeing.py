"""What operators see on the command line: looks at the projections, once or again and again."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from daybook.command_line.operating import named
from daybook.command_line.views import connected
from daybook.migrate import migrate
from daybook.services import ServiceError, services
from daybook.settings import Settings
from projections.oversight import operations
from projections.oversight.operations import Operation
from projections.oversight.standing import Standing, standing_now, standings
from projections.posting import failures
from projections.posting.failures import Failure, FailureDetail
from projections.posting.status import statuses


class Limits(NamedTuple):
    """How far a view may be behind; None: as far as it is."""

    events: int | None
    seconds: float | None


def looks(settings: Settings, name: str, every: float | None) -> Iterator[list[Standing]]:
    """Yield how the projections stand, once, or again and again."""
    wanted = set(named(name))
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection:
            first, then = statuses(connection), time.monotonic()
            yield [one for one in standings(connection) if one.name in wanted]
            while every is not None:
                time.sleep(every)
                now, moment = statuses(connection), time.monotonic()
                shown = standing_now(connection, first, now, moment - then)
                first, then = now, moment
                yield [one for one in shown if one.name in wanted]


def troubles(found: Sequence[Standing], limits: Limits) -> list[str]:
    """Return a sentence for each projection that is not as it should be."""
    return [sentence for one in found if (sentence := trouble(one, limits))]


def trouble(one: Standing, limits: Limits) -> str | None:
    """Return what is wrong with a projection, if anything is."""
    if one.state == "failed" or (one.last_error and one.lag_events):
        return f"{one.name} stands still: {one.last_error}"
    if limits.events is not None and one.lag_events > limits.events:
        return f"{one.name} is {one.lag_events:,} events behind; {limits.events:,} are allowed."
    if limits.seconds is not None and one.lag_seconds > limits.seconds:
        return f"{one.name} is {one.lag_seconds:.1f} s behind; {limits.seconds:g} are allowed."
    if one.failures:
        return f"{one.name} has {one.failures:,} parked events: see `daybook failures list`."
    return None


def failures_now(settings: Settings, name: str, limit: int) -> list[Failure]:
    """Return the failures of one projection or of all."""
    chosen = None if name == "all" else named(name)[0]
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection:
            return failures.failures(connection, chosen, limit=limit)


def failure_now(settings: Settings, name: str, position: int) -> FailureDetail:
    """Return the failure of the event at a position."""
    (chosen,) = named(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection:
            try:
                key = operations.failed_key(connection, chosen, position)
                return failures.failure(connection, chosen, key)
            except LookupError as error:
                raise ServiceError(str(error)) from error


def operations_now(settings: Settings, name: str, limit: int) -> list[Operation]:
    """Return what was asked of one projection or of all, the newest first."""
    names = named(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection:
            asked = [
                one
                for each in names
                for one in operations.operations(connection, each, limit=limit)
            ]
    return sorted(asked, key=lambda one: one.position, reverse=True)[:limit]
