"""Whether what somebody asks about has passed: the log must have come to it, or the clock."""

from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

END = "select position, clock_timestamp() from log_head"


class NotYet(Exception):  # noqa: N818 - an answer of the log
    """What is asked for has not come yet; the log ends at this position."""

    def __init__(self, end: int) -> None:
        self.end = end
        super().__init__(f"The log ends at position {end}.")


async def head_if_passed(connection: AsyncConnection[TupleRow], asked: int | datetime) -> int:
    """Return where the log ends; `NotYet` if a position, or a moment, has not come."""
    row = await (await connection.execute(END, prepare=True)).fetchone()
    assert row is not None  # noqa: S101 - the migration makes it
    head, now = row
    if asked > (head if isinstance(asked, int) else now):
        raise NotYet(head)
    return int(head)
