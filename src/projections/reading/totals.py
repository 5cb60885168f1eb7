"""How long lists are that are too long to be counted: estimated, and remembered for a while."""

import time
from collections.abc import Hashable, Mapping
from typing import Any

from projections.listing import Listing

SECONDS = (
    60.0  # an estimate is no better when it is new: it is of the last time a table was sampled
)
MOST = 1_000


class Totals:
    """Remembers estimates by list and filters; every page of such a list counted 50,000 rows."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, int]] = {}

    def known(self, listing: Listing, filters: Mapping[str, Any]) -> int | None:
        """Return what was estimated lately, None if nothing was."""
        until, total = self._known.get(key_of(listing, filters), (0.0, 0))
        return total if time.monotonic() < until else None

    def note(self, listing: Listing, filters: Mapping[str, Any], total: int) -> None:
        """Remember an estimate."""
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key_of(listing, filters)] = time.monotonic() + SECONDS, total


def key_of(listing: Listing, filters: Mapping[str, Any]) -> Hashable:
    """Return what an estimate holds for."""
    return listing, frozenset(filters.items())
