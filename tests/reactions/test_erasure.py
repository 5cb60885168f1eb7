"""Who is forgotten is so everywhere: in the log, views, records and mails; the books stay."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from commands.execution import execute
from commands.orders.add_order_note import AddOrderNote, add_order_note
from commands.orders.cancel_order import CancelOrder, cancel_order
from commands.orders.ship_order import ShipOrder, ship_order
from commands.users.change_user import ChangeUser, change_user
from commands.users.forget_user import ForgetUser, forget_user
from commands.users.register_user import RegisterUser, register_user
from commands.work import EMAIL, Tools
from domain.administrators import LastAdministrator
from domain.personal import FORGOTTEN
from domain.session import InvalidCredentials
from domain.user import AccountClosed, EmailTaken, UserForgotten, email_key
from event_store.connections import connect
from event_store.privacy.keyring import MAKE
from event_store.records import StreamChange, VersionConflict
from projections.projection import Projection
from projections.rebuilds.comparing import Comparison
from projections.rebuilds.rebuild import carry_out, find, rebuild, start
from projections.switched_on import PROJECTIONS
from reactions import erasure
from reactions.mail_folder import MailFolder
from tests.commands.given import (
    ADMIN,
    ANYONE,
    PASSWORD,
    STAFF,
    administrator,
    asking,
    listed,
    paid,
    placed,
    registered,
    signed_in,
    user_of,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import command, keyring
from tests.projections.given import everything as all_views
from tests.projections.given import post
from tests.projections.test_failures import failing_at
from tests.reactions.given import end_pauses, files_in, finish, reacting, rows

ZOE = "Zoë.Quillfeather@example.com"
FAILED = """
insert into reaction_failures (name, position, attempts, error)
values ('order_confirmation', %s, 1, %s)
"""
WORDS = ("quillfeather", "zoë", "zo\\u00eb", "moonlane", "argon2")


async def live_a_life(tools: Tools) -> tuple[UUID, list[UUID]]:
    """Let Zoë register, sign in and order, and others write of her; return her and the orders."""
    request = RegisterUser(email=ZOE, password=PASSWORD, name="Zoë Quillfeather")
    zoe = (await execute(tools, ANYONE, register_user, request)).id
    await signed_in(tools, ZOE)
    her = asking("customer", zoe)
    teapot = await listed(tools)
    orders = [(await placed(tools, her, (teapot, 1))).id for _ in range(3)]
    await paid(tools, orders[0])
    shipment = ShipOrder(order_id=orders[0], carrier="Post", tracking_number="MOONLANE-7")
    await execute(tools, STAFF, ship_order, shipment)
    note = AddOrderNote(order_id=orders[0], text="Zoë rang: leave it at Moonlane 7")
    await execute(tools, STAFF, add_order_note, note)
    reason = "Zoë Quillfeather moved away"
    await execute(tools, her, cancel_order, CancelOrder(order_id=orders[1], reason=reason))
    await execute(tools, her, change_user, ChangeUser(user_id=zoe, name="Zoë Q. Quillfeather"))
    return zoe, orders


def rebuild_all(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        for projection in PROJECTIONS.values():
            rebuild(connection, projection, lambda *_: None, keyring())


def words_in(database_url: str) -> set[str]:
    """Return which of the words stand in any table of the database."""
    texts = tables_with_text(database_url).values()
    return {word for word in WORDS if any(word in text for text in texts)}


def tables_with(database_url: str, word: str) -> set[str]:
    """Return the tables of the database in which a word stands."""
    return {name for name, text in tables_with_text(database_url).items() if word in text}


def tables_with_text(database_url: str) -> dict[str, str]:
    """Return all that is in each table of the database, in small letters."""
    tables = """
        select schemaname, tablename from pg_tables
         where schemaname not in ('pg_catalog', 'information_schema')
    """
    texts: dict[str, str] = {}
    with psycopg.connect(database_url, autocommit=True) as connection:
        for schema, name in connection.execute(tables).fetchall():
            copy = sql.SQL("copy {} to stdout").format(sql.Identifier(schema, name))
            with connection.cursor().copy(copy) as found:
                text = b"".join(found).decode().lower()
            texts[name if schema == "public" else f"{schema}.{name}"] = text
    assert len(texts) > 20
    return texts


def words_in_files(folder: Path) -> set[str]:
    """Return which of the words, or the person's order, stand in any file of a folder."""
    texts = [path.read_bytes().lower() for path in folder.rglob("*") if path.is_file()]
    return {word for word in (*WORDS, "=c3=ab") for text in texts if word.encode() in text}


@on_a_loop
async def test_somebody_who_is_forgotten_is_nowhere_and_the_books_stay(
    database_url: str, tmp_path: Path
) -> None:
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        async with working_on(database_url) as tools:
            zoe, orders = await live_a_life(tools)
            other = await registered(tools)
            await asyncio.to_thread(finish, reactor)
            post(database_url)
            await asyncio.to_thread(rebuild_all, database_url)  # it keeps the old tables
            before = all_views(database_url)
            assert {"quillfeather", "zoë", "moonlane"} <= words_in(database_url)
            assert words_in_files(tmp_path)
            mails = len(files_in(tmp_path))

            await execute(tools, asking("customer", zoe), forget_user, ForgetUser(user_id=zoe))
            await asyncio.to_thread(finish, reactor)
            post(database_url)
            assert words_in(database_url) == set()
            assert words_in_files(tmp_path) == set()
            assert len(files_in(tmp_path)) == mails - 5  # her welcome, three orders, a shipment
            forgotten = await user_of(tools, zoe)
            assert (forgotten.email, forgotten.name) == (FORGOTTEN, FORGOTTEN)
            assert (forgotten.status, forgotten.password_hash) == ("forgotten", None)
            assert (await user_of(tools, other)).email == "alice@example.com"
    after = all_views(database_url)
    assert after["sales_by_day_v1"] == before["sales_by_day_v1"]
    assert after["sales_by_customer_v1"] == before["sales_by_customer_v1"]
    totals = [(row["id"], row["total"], row["lines"]) for row in before["orders_v1"]]
    assert [(row["id"], row["total"], row["lines"]) for row in after["orders_v1"]] == totals
    texts = {row["id"]: row for row in after["orders_v1"]}
    assert texts[orders[0]]["shipment"]["trackingNumber"] == FORGOTTEN
    assert texts[orders[0]]["shipment"]["carrier"] == "Post"
    assert texts[orders[0]]["notes"][0]["text"] == FORGOTTEN
    assert texts[orders[1]]["cancellation"]["reason"] == FORGOTTEN
    rebuild_all(database_url)
    assert all_views(database_url) == after
    assert words_in(database_url) == set()


@on_a_loop
async def test_the_account_is_closed_and_the_address_is_free(database_url: str) -> None:
    async with working_on(database_url) as tools:
        zoe, _ = await live_a_life(tools)
        await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
        with pytest.raises(InvalidCredentials):
            await signed_in(tools, ZOE)
        with pytest.raises(AccountClosed):
            await execute(tools, ADMIN, change_user, ChangeUser(user_id=zoe, name="Zoë"))
        assert await tools.store.find(EMAIL, email_key(ZOE), personal=True) is None
        again = await registered(tools, ZOE)
        assert again != zoe
        with pytest.raises(EmailTaken):
            await registered(tools, ZOE)


@on_a_loop
async def test_once_is_enough(database_url: str) -> None:
    async with working_on(database_url) as tools:
        zoe = await registered(tools, ZOE)
        first = await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
        again = await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
        assert again.version == first.version
    names = rows(database_url, "select name from events where stream_id = %s", zoe)
    assert names == [("user.registered",), ("user.forgotten",)]


@on_a_loop
async def test_the_last_administrator_is_not_forgotten(database_url: str) -> None:
    async with working_on(database_url) as tools:
        root = await administrator(tools)
        with pytest.raises(LastAdministrator):
            await execute(tools, asking("admin", root), forget_user, ForgetUser(user_id=root))
        assert (await user_of(tools, root)).name == "Root"


@on_a_loop
async def test_the_key_goes_with_the_event_or_not_at_all(database_url: str) -> None:
    async with working_on(database_url) as tools:
        zoe = await registered(tools, ZOE)
        late = StreamChange(zoe, "user", 7, (UserForgotten(),))
        with pytest.raises(VersionConflict):
            await tools.store.append(command(late))
        assert has_key(database_url, zoe)
        await tools.store.append(command(msgspec.structs.replace(late, expected_version=1)))
        assert not has_key(database_url, zoe)


def has_key(database_url: str, user_id: UUID) -> bool:
    query = "select wrapped is not null from subject_keys where subject_id = %s"
    [(found,)] = rows(database_url, query, user_id)
    return bool(found)


@on_a_loop
async def test_a_key_that_is_made_too_late_is_none(database_url: str) -> None:
    """A process that knew of no key when another one forgot the person."""
    async with working_on(database_url) as tools:
        zoe = await registered(tools, ZOE)
        await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
    with connect(database_url, name="test") as connection:
        connection.execute(MAKE, [[zoe], ["a master"], [b"a key"]])
        assert keyring().fetch(connection, [zoe]) == {zoe: None}


@on_a_loop
async def test_what_is_written_of_somebody_meanwhile_is_not_kept(database_url: str) -> None:
    """Another process still has the account and its key in memory."""
    async with working_on(database_url) as tools, working_on(database_url) as slow:
        zoe, [_, _, order_id] = await live_a_life(tools)
        note = AddOrderNote(order_id=order_id, text="Zoë rang")
        await execute(slow, STAFF, add_order_note, note)
        await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
        await execute(slow, STAFF, add_order_note, note)
    query = "select data ->> 'text' from events where name = 'order.note_added' order by position"
    *_, (before,), (after,) = rows(database_url, query)
    assert before.startswith(f"sealed.1.{zoe.hex}.")
    assert after == FORGOTTEN


@on_a_loop
async def test_what_operators_were_shown_of_somebody_is_forgotten_too(
    database_url: str, tmp_path: Path
) -> None:
    """Rows that a rebuild found different, and errors that quote them, at whichever event."""
    users = PROJECTIONS["users"]
    async with working_on(database_url) as tools:
        zoe, orders = await live_a_life(tools)
        other = await registered(tools)
        [(placed_at,)] = rows(
            database_url, "select position from events where stream_id = %s limit 1", orders[0]
        )
        poisoned = failing_at(users, placed_at, error=ValueError("no order of Zoë Quillfeather"))
        post(database_url, poisoned, PROJECTIONS["orders"])
        rows(database_url, "update users_v2 set role = 'staff'")
        rows(database_url, "update orders_v1 set reference = 'R' where id = %s", orders[0])
        rows(database_url, FAILED, placed_at, "no mail to Zoë Quillfeather")
        with connect(database_url, name="test") as connection:
            for projection in (poisoned, PROJECTIONS["orders"]):
                compared(connection, projection)
        told = {"projection_failures", "reaction_failures", "projection_rebuilds"}
        assert tables_with(database_url, "quillfeather") > told
        with reacting(database_url, MailFolder(tmp_path)) as reactor:
            await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
            post(database_url, poisoned)
            with connect(database_url, name="test") as connection:
                late = compared(connection, users)  # the live view waits, and knows her still
            await asyncio.to_thread(finish, reactor)
        assert not tables_with(database_url, "quillfeather") & told
        assert not tables_with(database_url, "moonlane") & told
    found = {one.key: one for table in late.tables for one in table.differences}
    assert (found[str(zoe)].live, found[str(zoe)].new) == (FORGOTTEN, FORGOTTEN)
    assert '"name":"Alice"' in str(found[str(other)].live)
    assert "alice@example.com" in tables_with_text(database_url)["projection_rebuilds"]


def compared(connection: Connection[TupleRow], projection: Projection) -> Comparison:
    """Compare a view with what the log says, as operators do."""
    job = start(connection, projection, dry_run=True, on_failure="park")
    carry_out(connection, projection, job, lambda *_: None, keyring())
    comparison = find(connection, job.id).comparison
    assert comparison is not None
    return comparison


@on_a_loop
async def test_nobody_mails_somebody_forgotten(database_url: str, tmp_path: Path) -> None:
    async with working_on(database_url) as tools:
        zoe, _ = await live_a_life(tools)
        await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        await asyncio.to_thread(finish, reactor)
    assert files_in(tmp_path) == []


@on_a_loop
async def test_what_dies_in_the_middle_of_an_erasure_is_done_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        async with working_on(database_url) as tools:
            zoe, _ = await live_a_life(tools)
            await asyncio.to_thread(finish, reactor)
            await execute(tools, ADMIN, forget_user, ForgetUser(user_id=zoe))
        for step in ("check", "remove_mails"):
            with monkeypatch.context() as here:
                here.setattr(erasure, step, dies)
                with pytest.raises(psycopg.OperationalError):
                    await asyncio.to_thread(finish, reactor)
        await asyncio.to_thread(finish, reactor)
    end_pauses(database_url)
    post(database_url)
    assert words_in(database_url) == set()
    assert words_in_files(tmp_path) == set()
    forgotten = "select count(*) from events where name = 'order.forgotten'"
    assert rows(database_url, forgotten) == [(2,)]


def dies(*_: Any) -> None:
    """Do as a process does whose connection is gone."""
    raise psycopg.OperationalError
