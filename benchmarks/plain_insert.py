"""Plain batched INSERT by pgbench: the same columns, sizes and indexes, and none of the checks.

The rows of a statement come over the wire as arrays, which is the fastest that a plain client can
do: rows of VALUES take longer to parse. Ids of streams are made in Postgres, positions come from a
sequence, so there is no head row to lock, no version to look up and no verdict to give.
"""

import re
import subprocess
from pathlib import Path

import msgspec
import psycopg

from benchmarks.append_process import command_on, order_placed
from benchmarks.bench import environment
from benchmarks.postgres import Postgres
from commands.identifiers import new_id
from event_store.event_types import encode

STATEMENT = """
with commands as materialized (
  select c.*, uuidv7() as stream_id, clock_timestamp() as now
    from unnest({by_command}) with ordinality
         as c (actor_id, actor_role, request_id, correlation_id, command_id, command, number)
)
insert into plain_events (
  position, stream_id, stream_type, version, name, schema_version, data,
  actor_id, actor_role, request_id, correlation_id, causation_id, command_id, command,
  occurred_at, recorded_at
)
select nextval('plain_positions'), c.stream_id, 'order', e.version, '{name}',
       {schema_version}, e.data::jsonb, c.actor_id, c.actor_role, c.request_id, c.correlation_id,
       null::bigint, c.command_id, c.command, c.now, c.now
  from unnest({by_event}) as e (command, version, data)
  join commands c on c.number = e.command;
"""
TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def create(url: str) -> None:
    """Make the table: the log's own, with its indexes and checks, numbered by a sequence."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table plain_events (like events including all)")
        connection.execute("create sequence plain_positions")


class Statements(msgspec.Struct, frozen=True):
    """So many commands of so many rows in each statement, from so many clients at once."""

    commands: int
    size: int
    clients: int


def run(postgres: Postgres, url: str, wanted: Statements, script: Path, seconds: float) -> float:
    """Return rows a second; the statement is left in the file `script`."""
    script.write_text(statement(wanted.commands, wanted.size), encoding="utf-8")
    argv = [str(postgres.programs / "pgbench"), "-n", "-M", "simple", "-f", str(script)]
    argv += ["-c", str(wanted.clients), "-j", "1", "-T", str(max(1, round(seconds))), url]
    env = environment({"PGOPTIONS": "-c jit=off"})  # as on Daybook's connections
    done = subprocess.run(
        argv, env=env, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    found = TPS.search(done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench did not say how fast it was: {done.stdout}{done.stderr}")
    return float(found[1]) * wanted.commands * wanted.size


def statement(commands: int, size: int) -> str:
    """Return one INSERT; what the commands of a batch say of themselves is sent once for each."""
    sample = [command_on(new_id(), 0, ()) for _ in range(commands)]
    audits = [command.audit for command in sample]
    name, schema_version, _ = encode(order_placed())
    by_command = [
        array([audit.actor_id for audit in audits], "text"),
        array([audit.actor_role for audit in audits], "text"),
        array([audit.request_id for audit in audits], "text"),
        array([audit.correlation_id for audit in audits], "text"),
        array([str(command.command_id) for command in sample], "uuid"),
        array([audit.command for audit in audits], "text"),
    ]
    by_event = [
        array([str(number) for number in range(1, commands + 1) for _ in range(size)], "int"),
        array([str(version) for version in range(1, size + 1)] * commands, "int"),
        array([encode(order_placed())[2] for _ in range(commands * size)], "text"),
    ]
    return STATEMENT.format(
        name=name,
        schema_version=schema_version,
        by_command=",".join(by_command),
        by_event=",".join(by_event),
    )


def array(values: list[str], kind: str) -> str:
    """Write an array as SQL."""
    quoted = ",".join('"' + value.replace('"', r"\"") + '"' for value in values)
    return f"'{{{quoted}}}'::{kind}[]"
