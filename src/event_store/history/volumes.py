"""Old blocks of the index of history, bound into volumes: 32 blocks of a bucket are then one row.

What is rare is in a few places of each block; so a question for it reads one row a volume instead
of one from every block. A row moves in one transaction, and whoever asks reads both in one
statement: it is there once at any moment.
"""

from psycopg import Connection
from psycopg.rows import TupleRow

VOLUME = 32
"""Blocks in a volume."""

TAKE = "select volumes from history_index where blocks >= (volumes + 1) * %s for update skip locked"
BIND = """
with bound as (
    delete from history_postings where block >= %b and block < %b returning bucket, block, places
)
insert into history_volumes (bucket, volume, blocks, lengths, places)
select bucket, %b, array_agg(block order by block), array_agg(length(places) order by block),
       string_agg(places, '' order by block)
  from bound group by bucket
"""
MOVE = "update history_index set volumes = %s where volumes = %s"


def bind_volume(connection: Connection[TupleRow]) -> bool:
    """Bind the next volume if its blocks are there, all or nothing, unless somebody is at it."""
    with connection.transaction():
        row = connection.execute(TAKE, [VOLUME]).fetchone()
        if row is None:
            return False
        volume = int(row[0])
        connection.execute(BIND, [volume * VOLUME, (volume + 1) * VOLUME, volume])
        connection.execute(MOVE, [volume + 1, volume])
        return True
