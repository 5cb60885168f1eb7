"""What has to be done to the log's tables from time to time."""

from datetime import timedelta

from psycopg import Connection
from psycopg.rows import TupleRow

MOST_AT_ONCE = 1_000

# By the index on expires_at, some at a time, and never waiting for an append that uses one of them.
FORGET_KEYS = """
delete from idempotency_keys
 where (caller, key) in (
     select caller, key from idempotency_keys
      where expires_at <= clock_timestamp()
      order by expires_at limit %s for update skip locked
 )
"""


# As above; records are never changed, so nobody waits for another.
FORGET_SIGN_INS = """
delete from sign_ins
 where number in (
     select number from sign_ins
      where at < clock_timestamp() - %s
      order by at limit %s
 )
"""


def forget_expired_keys(connection: Connection[TupleRow]) -> int:
    """Delete idempotency keys that have had their time, at most a thousand; return how many."""
    return connection.execute(FORGET_KEYS, [MOST_AT_ONCE]).rowcount


def forget_old_sign_ins(connection: Connection[TupleRow], age: timedelta) -> int:
    """Delete records of sign-ins that are older than `age`, at most a thousand; return how many."""
    return connection.execute(FORGET_SIGN_INS, [age, MOST_AT_ONCE]).rowcount
