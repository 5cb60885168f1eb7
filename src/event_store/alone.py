"""Streams of one event, as a condition on the log."""

from collections.abc import Sequence
from typing import NamedTuple

# For each event one look into the index of streams: joined, Postgres might read the log as a whole.
NO_SECOND = """
(select true from events second
  where second.stream_id = events.stream_id and second.version = 2
    and second.position <= %b::bigint) is null
"""


class Alone(NamedTuple):
    """Events that are their streams' only ones up to a position: names, each with its versions."""

    kinds: Sequence[tuple[str, Sequence[int]]]
    upto: int

    @property
    def names(self) -> list[str]:
        """The names alone."""
        return [name for name, _ in self.kinds]

    @property
    def condition(self) -> str:
        """The condition on a row of `events`; its one parameter is `upto`."""
        kinds = " or ".join(
            f"name = '{name}' and schema_version in ({', '.join(map(str, versions))})"
            for name, versions in self.kinds
        )
        return f"(events.version = 1 and ({kinds}) and {NO_SECOND})"
