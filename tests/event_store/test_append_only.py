"""The log can be added to and in no other way changed: not by the application, not by its owner."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection, errors
from psycopg.rows import TupleRow

from daybook.migrate import migrate, migrations
from event_store.connections import APPLICATION_ROLE, connect
from event_store.upkeep import forget_expired_keys
from tests.conftest import fresh_database, run
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import appending, everything, noting, rows

Lent = Connection[TupleRow]


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database with an event."""
    with fresh_database(server_url, template_database) as url:
        record(url)
        yield url


@on_a_loop
async def record(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(noting(UUID(int=1)))


CHANGES = [
    "update events set actor_id = 'eve'",
    "update events set actor_id = actor_id where false",
    "delete from events",
    "truncate events",
]
FORBIDDEN = [
    *CHANGES,
    "insert into events select * from events",
    "update log_head set position = 7",
    "delete from log_head",
    "update unique_claims set value = 'x'",
    "delete from unique_claims",
    "insert into unique_claims values ('a', 'b', gen_random_uuid())",
    "delete from log_tiles",
    "delete from log_heads",
    "update log_heads set note = ''",
    "delete from audit_accesses",
    "update audit_accesses set rows = 0",
    "update access_chain set number = 7",
    "delete from access_heads",
    "alter table audit_accesses disable trigger chain_access",
    "update log_keys set public_key = ''",
    "alter table events disable trigger events_are_kept",
    "alter table events add column x int",
    "drop table events cascade",
    "drop trigger events_are_kept on events",
    "drop function append_events",
    "alter function append_events security invoker",
    "create or replace function refuse_change() returns trigger language plpgsql as 'begin end'",
    "set session_replication_role = replica",
    "create trigger mine before insert on events for each row execute function refuse_change()",
    "create rule mine as on update to events do instead nothing",
    "update alembic_version set version_num = '0001'",
]


@pytest.mark.parametrize("act", FORBIDDEN)
def test_the_application_may_not(database_url: str, act: str) -> None:
    before = everything(database_url)
    with connect(database_url, name="test") as connection:
        assert connection.execute("select current_user").fetchone() == (APPLICATION_ROLE,)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(act.encode())
    assert everything(database_url) == before


@pytest.mark.parametrize("act", CHANGES)
def test_the_owner_is_refused_too(database_url: str, act: str) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        pytest.raises(errors.RestrictViolation, match="never changed"),
    ):
        connection.execute(act.encode())


def test_what_lies_in_public_is_not_taken_for_postgres_s_own(database_url: str) -> None:
    """The append acts as the owner: it must call nothing that the application can put there."""
    with connect(database_url, name="test") as connection:
        connection.execute(
            "create function public.cardinality(uuid[]) returns int language plpgsql as"
            " $$ begin raise exception 'called as %', current_user; end $$"
        )
        try:
            append_another(database_url)
        finally:
            connection.execute("drop function public.cardinality(uuid[])")


@on_a_loop
async def append_another(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(noting(uuid4()))


def test_nobody_else_may_append(database_url: str) -> None:
    kind = "select proacl::text from pg_proc where proname = 'append_events'"
    [(granted,)] = rows(database_url, kind)
    assert f"{APPLICATION_ROLE}=X" in granted
    assert "{=X" not in granted
    assert ",=X" not in granted


def test_expired_keys_can_still_be_forgotten(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        assert forget_expired_keys(connection) == 0


def test_permissions_may_be_given_again(database_url: str) -> None:
    text = (migrations() / "sql" / "permissions.sql").read_text()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(text.encode())
        connection.execute(text.encode())


def test_an_application_that_logs_in_without_being_the_owner_can_work(
    database_url: str, server_url: str
) -> None:
    login = f"login_{uuid4().hex[:12]}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"create role {login} login in role {APPLICATION_ROLE}".encode())
    try:
        there = database_url.replace("postgres@", f"{login}@", 1)
        assert there != database_url
        assert migrate(there)
        append_another(there)
        with psycopg.connect(there) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute("delete from events")
    finally:
        run(server_url, "drop role {}", login)
