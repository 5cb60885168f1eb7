"""The judgement: what the log holds against what the writers were told and the readers saw.

The ledgers are loaded beside the log, and each promise is a query that finds its counterexamples.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import LiteralString

import msgspec
import psycopg
from psycopg.rows import TupleRow

from tests.oracle.seen import Seen, without

MOST_EXAMPLES = 3

TABLES = """
create schema oracle;
create unlogged table oracle.asked (
    command_id uuid, writer int, number bigint, events int, holder uuid, key text, claim text
);
create unlogged table oracle.told (command_id uuid, word text, position bigint, first uuid)
"""

# Each command that is in the log, with what it should be there.
STORED = """
create unlogged table oracle.stored as
select command_id, count(*) as events, min(position) as first_position,
       max(position) as last_position,
       bool_and(data ->> 'text' = concat_ws('/', position - before, stream_id, version))
           as right_place
  from (select command_id, position, stream_id, version, data,
               min(position) over (partition by command_id) - 1 as before from events) e
 group by command_id;
analyze oracle.asked, oracle.told, oracle.stored
"""

RUNS = """
select min(position), max(position), count(*)
  from (select position, position - row_number() over (order by position) as island from events) e
 group by island order by 1
"""

PROMISES: dict[str, LiteralString] = {
    "positions are 1, 2, 3 ... up to the head": """
        select min(position), max(position), count(*), (select position from log_head)
          from events
        having coalesce(min(position), 1) <> 1 or coalesce(max(position), 0) <> count(*)
            or coalesce(max(position), 0) <> (select position from log_head)
    """,
    "recorded_at never runs backwards": """
        select position from (
            select position, recorded_at, lag(recorded_at) over (order by position) as earlier
              from events) e
         where recorded_at < earlier
    """,
    "versions of a stream are 1, 2, 3 ...": """
        select stream_id, min(version), max(version), count(*) from events group by stream_id
        having min(version) <> 1 or max(version) <> count(*)
    """,
    "versions of a stream rise with positions": """
        select position from (
            select position, version, lag(version) over (partition by stream_id order by position)
                as earlier from events) e
         where version <= earlier
    """,
    "nothing is stored that nobody asked for": """
        select command_id, last_position from oracle.stored
         where command_id not in (select command_id from oracle.asked)
    """,
    "a command is stored whole, in one piece, where it was meant to be": """
        select s.command_id, s.events, a.events, first_position, last_position
          from oracle.stored s join oracle.asked a using (command_id)
         where s.events <> a.events or not right_place
            or last_position - first_position + 1 <> s.events
    """,
    "an acknowledged command is stored, at the position that was told": """
        select a.command_id, t.position, s.last_position
          from oracle.told t join oracle.asked a using (command_id)
          left join oracle.stored s on s.command_id = t.first
         where t.word in ('appended', 'repeated') and a.events > 0
           and s.last_position is distinct from t.position
    """,
    "a refused, repeated or rolled back command is not stored": """
        select s.command_id, t.word, s.last_position
          from oracle.told t join oracle.stored s using (command_id)
         where t.word in ('conflict', 'claimed', 'failed', 'rolled back')
            or t.word = 'repeated' and t.first <> s.command_id
    """,
    "a key has one effect": """
        select key, count(*), min(last_position), max(last_position)
          from oracle.asked join oracle.stored using (command_id)
         where key is not null group by key having count(*) > 1
    """,
    "everybody is told the same under a key": """
        select key, min(position), max(position)
          from oracle.asked join oracle.told using (command_id)
         where key is not null and word in ('appended', 'repeated')
         group by key having count(distinct (position, first)) > 1
    """,
    "a key keeps its answer": """
        select a.key, t.position, k.position, k.answer
          from oracle.asked a join oracle.told t using (command_id)
          left join idempotency_keys k on k.caller = 'oracle' and k.key = a.key
         where a.key is not null and t.word in ('appended', 'repeated')
           and (k.position, k.answer) is distinct from (t.position, t.first::text)
    """,
    "a request with a key ends in an answer": """
        select key from oracle.asked a left join oracle.told t using (command_id)
         where key is not null group by key
        having bool_and(coalesce(word, 'unavailable') = 'unavailable')
    """,
    "a value is held by the one who claimed it first": """
        select a.claim, count(*) filter (where s.command_id is not null), min(u.stream_id::text)
          from oracle.asked a
          left join oracle.stored s using (command_id)
          left join unique_claims u on u.scope = 'oracle.value' and u.value = a.claim
         where a.claim is not null group by a.claim
        having count(*) filter (where s.command_id is not null) > 1
            or count(*) filter (where s.command_id is not null and a.holder = u.stream_id)
               <> count(*) filter (where s.command_id is not null)
            or bool_or(u.stream_id is not null)
               <> bool_or(s.command_id is not null)
    """,
    "nobody is refused a value that is free": """
        select a.claim from oracle.asked a join oracle.told t using (command_id)
         where t.word = 'claimed'
           and not exists (select from oracle.asked o join oracle.stored using (command_id)
                            where o.claim = a.claim)
    """,
}

# A reader misses what is stored and it has not seen, and dreams what it saw and is not stored.
WORDS = """
select coalesce(word, 'cut off by a kill'), count(*),
       count(*) filter (where exists (select from oracle.stored s
                                       where s.command_id = a.command_id))
  from oracle.asked a left join oracle.told t using (command_id) group by 1 order by 2 desc
"""


class Judgement(msgspec.Struct):
    """What was found. `words`: by answer, how many commands got it, how many of them are stored."""

    stored: int = 0
    seen: int = 0
    missed: int = 0
    twice: int = 0
    dreamt: int = 0
    reconnected: int = 0
    words: dict[str, tuple[int, int]] = {}
    broken: dict[str, list[str]] = {}


def judge_readers(
    connection: "psycopg.Connection[TupleRow]", query: LiteralString, seen: list[Seen]
) -> Judgement:
    """Compare what the readers saw with what is stored; `query`: runs of stored positions."""
    stored = [[int(first), int(last)] for first, last, _ in connection.execute(query).fetchall()]
    found = Judgement(stored=length(stored))
    found.seen = min((length(one.runs) for one in seen), default=0)
    for number, one in enumerate(seen):
        lost, dreamt = without(stored, one.runs), without(one.runs, stored)
        found.missed += length(lost)
        found.dreamt += length(dreamt)
        found.twice += one.twice
        found.reconnected += one.reconnected
        name = f"reader {number} sees every event once, in order, as it is stored"
        wrong = [f"missed positions {first} to {last}" for first, last in lost]
        wrong += [f"saw positions {first} to {last}, not stored" for first, last in dreamt]
        if wrong or one.wrong:
            found.broken[name] = [*wrong[:MOST_EXAMPLES], *one.complaints[:MOST_EXAMPLES]]
    return found


def judge(connection: "psycopg.Connection[TupleRow]", folder: Path, seen: list[Seen]) -> Judgement:
    """Compare ledgers, log and readers."""
    connection.execute("set work_mem = '256MB'")
    connection.execute(TABLES)
    for table in ("asked", "told"):
        load(connection, table, sorted(folder.glob(f"{table}-*")))
    connection.execute(STORED)
    found = judge_readers(connection, RUNS, seen)
    for promise, query in PROMISES.items():
        if rows := connection.execute(query).fetchmany(MOST_EXAMPLES):
            found.broken[promise] = [" ".join(map(str, row)) for row in rows]
    found.words = {word: (told, kept) for word, told, kept in connection.execute(WORDS).fetchall()}
    return found


def load(connection: "psycopg.Connection[TupleRow]", table: str, files: Iterable[Path]) -> None:
    """Load ledgers."""
    into = psycopg.sql.SQL("copy oracle.{} from stdin").format(psycopg.sql.Identifier(table))
    for path in files:
        with connection.cursor().copy(into) as copy, path.open("rb") as file:
            while block := file.read(1 << 20):
                copy.write(block)


def length(runs: list[list[int]]) -> int:
    """Return how many positions there are in runs."""
    return sum(last - first + 1 for first, last in runs)
