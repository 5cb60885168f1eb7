"""What operators asked for, laid out: four columns, so that 80 characters are enough."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rich.table import Table


class Row(NamedTuple):
    """One request: when and by whom, what and why, and what came of it so far."""

    asked_at: datetime
    asked_by: str
    what: str
    reason: str
    outcome: str | None
    detail: str | None


def asked_table(found: Iterable[Row]) -> Table:
    """Lay requests out."""
    table = Table("Asked", "What", "Why", "What came of it", show_lines=True)
    for one in found:
        came = ": ".join(filter(None, [one.outcome or "asked", one.detail]))
        asked = f"{one.asked_at:%Y-%m-%d %H:%M:%S}Z\n{one.asked_by}"
        table.add_row(asked, one.what, one.reason, came)
    table.columns[0].no_wrap = True
    return table
