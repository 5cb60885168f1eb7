"""Migrations: many at once, again, killed in the middle, and databases that are not for us."""

import multiprocessing
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from daybook.migrate import LOCK, NewerDatabase, config, migrate, migrations, newest_revision
from event_store.connections import connect
from projections import users
from projections.posting.status import statuses
from projections.rebuilds.rebuild import carry_out, unfinished
from projections.switched_on import PROJECTIONS
from tests.conftest import address
from tests.daybook.conftest import Typed
from tests.domain.given import ALICE
from tests.event_store.given import rows
from tests.projections.given import STORY, append

# Each is a process of its own, forked from one that has the libraries loaded already.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["daybook.migrate"])


def migrating(database_url: str) -> BaseProcess:
    """Start a process that migrates."""
    process = PROCESSES.Process(target=migrate, args=[database_url])
    process.start()
    return process


def finish(process: BaseProcess) -> None:
    """Wait for it to succeed."""
    process.join(60)
    assert process.exitcode == 0
    process.close()


def tables(database_url: str) -> list[str]:
    """Return the names of all tables with their columns."""
    query = """
        select table_schema || '.' || table_name || '.' || column_name || ' ' || data_type
          from information_schema.columns
         where table_schema in ('public', 'building', 'retired', 'waiting') order by 1
    """
    return [name for (name,) in rows(database_url, query)]


def test_eight_processes_at_once_on_an_empty_database_all_come_up(
    empty_database: str, database_url: str
) -> None:
    started = [migrating(empty_database) for _ in range(8)]
    for process in started:
        finish(process)
    assert tables(empty_database) == tables(database_url) != []
    assert rows(empty_database, "select version_num from alembic_version") == [(newest_revision(),)]
    with psycopg.connect(empty_database) as connection:
        assert {one.name for one in statuses(connection)} == set(PROJECTIONS)
    locks = "select count(*) from pg_locks where locktype = 'advisory' and database = ("
    locks += "select oid from pg_database where datname = current_database())"
    wait_for(empty_database, locks, 0)


def wait_for(database_url: str, query: LiteralString, expected: int) -> None:
    """Wait until a query answers a number."""
    deadline = time.monotonic() + 60
    while rows(database_url, query)[0][0] != expected:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_second_call_does_nothing(database_url: str) -> None:
    before = rows(database_url, "select xmin::text from alembic_version")
    assert migrate(database_url) == newest_revision()
    assert rows(database_url, "select xmin::text from alembic_version") == before


def test_whoever_comes_second_waits_for_the_first(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as first:
        first.execute("select pg_advisory_lock(%s)", [LOCK])
        second = migrating(empty_database)
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        wait_for(empty_database, waiting, 1)
        assert tables(empty_database) == []
    finish(second)
    assert migrate(empty_database) == newest_revision()


def test_a_migration_that_is_killed_leaves_nothing_half_done(empty_database: str) -> None:
    """Held up in its middle by a lock that another session has on what it wants to make."""
    with psycopg.connect(empty_database) as other:
        other.execute("create table projection_checkpoints (name text)")
        killed = migrating(empty_database)
        waiting = "select count(*) from pg_locks where not granted"
        wait_for(empty_database, waiting, 1)
        killed.kill()
        killed.join()
        other.rollback()
    assert migrate(empty_database) == newest_revision()
    with psycopg.connect(empty_database) as connection:
        assert len(statuses(connection)) == len(PROJECTIONS)


def test_the_index_of_history_is_whole_if_the_migration_to_volumes_is_killed(
    empty_database: str,
) -> None:
    """It is killed when all is made and filled, and only the old table is yet to go."""
    at_revision(empty_database, "0024")
    append(empty_database, STORY)
    with psycopg.connect(empty_database) as owner:
        owner.execute("update history_index set blocks = 1")
        owner.execute("insert into history_blocks values (0, now(), now())")
        owner.execute("insert into history_postings values (7, 0, 'places')")
    before = tables(empty_database)
    with psycopg.connect(empty_database) as other:
        other.execute("lock table history_blocks in access share mode")
        killed = migrating(empty_database)
        waiting = "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and not granted"
        wait_for(empty_database, waiting, 1)
        killed.kill()
        killed.join()
    left = "select count(*) from pg_stat_activity where datname = current_database()"
    wait_for(empty_database, left, 1)
    assert rows(empty_database, "select version_num from alembic_version") == [("0024",)]
    assert tables(empty_database) == before
    assert migrate(empty_database) == newest_revision()
    stretches = "select stretch, occurred_to >= occurred_from from history_stretches"
    assert rows(empty_database, stretches) == [(0, True)]
    kept = "select bucket, block, blocks, volumes from history_postings, history_index"
    assert rows(empty_database, kept) == [(7, 0, 1, 0)]


def test_a_database_of_a_newer_release_is_refused_and_left_alone(
    database_url: str, typed: Typed
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(NewerDatabase, match=r"at revision 9999 .* run the newer release"):
        migrate(database_url)
    assert rows(database_url, "select version_num from alembic_version") == [("9999",)]
    told = typed("migrate")
    assert told.returncode == 2
    assert "The database is at revision 9999" in told.stderr
    assert "Traceback" not in told.stderr


def test_users_of_before_summaries_get_theirs_by_the_rebuild_that_a_release_begins(
    empty_database: str,
) -> None:
    at_revision(empty_database, "0021")
    append(empty_database, STORY)
    with psycopg.connect(empty_database) as owner:
        owner.execute(OLD_USER, [ALICE])
        owner.execute("update projection_checkpoints set position = %s", [len(STORY)])
    migrate(empty_database)
    with connect(empty_database, name="test") as connection:
        summary = "select orders, spent, last_order is null from users_v2 where id = %s"
        assert connection.execute(summary, [ALICE]).fetchone() == (2, {}, True)  # the old rows
        [job] = unfinished(connection)
        carry_out(connection, users.PROJECTION, job, lambda *_: None)
        assert connection.execute(summary, [ALICE]).fetchone() == (2, {"GBP": "8.54"}, False)
        assert [one.version for one in statuses(connection) if one.name == "users"] == [2]


def at_revision(database_url: str, revision: str) -> None:
    """Bring an empty database to the schema of an older release."""
    settings = config()
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
        permissions = (migrations() / "sql" / "permissions.sql").read_text()
        connection.exec_driver_sql(permissions.replace("%", "%%"))
        connection.commit()


OLD_USER = """
insert into users_v1 (id, email, name, role, status, created_at, updated_at, version, sessions,
                      orders)
values (%s, 'a@example.com', 'Alice A.', 'customer', 'active', now(), now(), 5, '{}', 2)
"""


def test_a_user_who_may_not_make_tables_is_told_so(empty_database: str, typed: Typed) -> None:
    name = f"guest_{uuid4().hex[:12]}"
    role = sql.Identifier(name)
    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login password 'nothing'").format(role))
        try:
            guest = make_url(empty_database).set(username=name, password="nothing")
            told = typed("migrate", DAYBOOK_DATABASE_URL=guest.render_as_string(False))
        finally:
            owner.execute(sql.SQL("drop role {}").format(role))
    assert told.returncode == 2
    assert "permission denied for schema public" in told.stderr
    assert "connect as the database's owner" in told.stderr
    assert told.stderr.count("\n") == 1


def test_a_database_that_is_not_there_is_one_sentence(server_url: str, typed: Typed) -> None:
    told = typed("migrate", DAYBOOK_DATABASE_URL=address(server_url, "nowhere"))
    assert told.returncode == 2
    assert 'database "nowhere" does not exist' in told.stderr
    assert told.stderr.count("\n") == 1


def test_migrations_are_one_chain_in_the_order_of_their_numbers() -> None:
    """Two branches that each took the next number would both be merged without a word."""
    scripts = list(ScriptDirectory.from_config(config()).walk_revisions())
    numbers = [one.revision for one in reversed(scripts)]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert all(Path(one.path).name.startswith(f"{one.revision}_") for one in scripts)
    assert len(list(Path(scripts[0].path).parent.glob("[0-9]*.py"))) == len(numbers)
