"""A new master key, a wrong one, and a backup that must bring nobody back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from commands.execution import execute
from commands.users.forget_user import ForgetUser, forget_user
from commands.work import EMAIL
from daybook.command_line import master_rotation
from daybook.keys import tombstones
from daybook.keys.master_key import add_secret, keyring
from daybook.keys.privacy import prepare
from daybook.services import ServiceError, Services
from daybook.settings import Settings
from domain.user import email_key
from event_store.connections import connect
from event_store.privacy.keyring import Keyring
from event_store.privacy.master_keys import WrongMasterKey
from event_store.reading import stream
from event_store.store import EventStore
from tests.commands.given import ADMIN, administrator, registered, signed_in, user_of, working_on
from tests.conftest import address, run, tampering
from tests.daybook.conftest import Typed
from tests.event_store import given
from tests.event_store.given import MASTER_KEY, rows

NEW = "another-master-key-for-tests-987654321"
ZOE = "zoe@example.com"
LISTED = "select kind, action, rows from audit_accesses where kind = 'operation'"
COUNT = "select count(*), count(distinct master) from subject_keys where wrapped is not null"


def settings(folder: Path, **changed: object) -> Settings:
    return Settings(data_dir=folder, **changed)


def serving(database_url: str, keys: Keyring | None = None) -> Services:
    return Services(database_url, "redis://127.0.0.1:1/0", keys or given.keyring())


async def some_users(database_url: str, count: int = 3) -> list[UUID]:
    async with working_on(database_url) as tools:
        return [await registered(tools, f"user-{number}@example.com") for number in range(count)]


def test_all_keys_are_wrapped_by_the_newest_master_key(database_url: str, typed: Typed) -> None:
    users = asyncio.run(some_users(database_url))
    told = typed("privacy", "rotate-master", "--json", DAYBOOK_MASTER_KEY=f"{NEW} {MASTER_KEY}")
    assert (told.returncode, '"keysWrapped": 4' in told.stdout) == (0, True)
    assert rows(database_url, COUNT) == [(4, 1)]
    assert rows(database_url, LISTED) == [("operation", "master_key_rotated", 4)]
    alone = keyring(Settings(master_key=NEW))
    with connect(database_url, name="test") as connection:
        assert "user-0" in str(stream(connection, users[0], alone))
        with pytest.raises(WrongMasterKey):
            stream(connection, users[0], given.keyring())
    again = typed("privacy", "rotate-master", "--json", DAYBOOK_MASTER_KEY=NEW)
    assert '"keysWrapped": 0' in again.stdout
    told = typed("privacy", "status", DAYBOOK_MASTER_KEY=NEW)
    assert f"keys under {alone.master.newest}" in told.stdout


def test_the_key_that_daybook_keeps_itself_is_made_anew(
    database_url: str, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_rotation, "SETTLE_SECONDS", 0)
    running = keyring(settings(tmp_path / "var"))

    async def make_a_key() -> None:
        store = EventStore(database_url, keys=running, on_append=lambda _: None)
        await store.open()
        try:
            await store.find(EMAIL, ZOE, personal=True)
        finally:
            await store.close()

    asyncio.run(make_a_key())
    file = tmp_path / "var" / "secrets" / "master"
    [old] = file.read_text().split()
    add_secret(file)  # as a rotation that died before it wrapped anything
    waiting = file.read_text().split()[0]
    told = typed(
        "privacy", "rotate-master", DAYBOOK_MASTER_KEY="", DAYBOOK_DATA_DIR=str(file.parents[1])
    )
    assert told.returncode == 0, told.stderr
    assert file.read_text().split() == [waiting] != [old]
    assert file.stat().st_mode & 0o077 == 0
    with connect(database_url, name="test") as connection:
        [[lookup]] = connection.execute("select subject_id from subject_keys").fetchall()
        running.forget(lookup)
        assert running.fetch(connection, [lookup])  # it reads the file again by itself


def test_events_that_cannot_be_forgotten_are_counted(database_url: str, typed: Typed) -> None:
    assert "stays readable" not in typed("privacy", "status").stdout
    with tampering(database_url) as connection:
        connection.execute(
            "insert into events values (1, %s, 'user', 1, 'user.renamed', 1, %s, 'a', 'a', 'a',"
            " 'a', null, %s, 'a', now(), now())",
            [uuid4(), '{"name": "Zoe"}', uuid4()],
        )
        connection.execute("update log_head set position = 1")
    told = typed("privacy", "status")
    assert (told.returncode, "1 events were stored before" in told.stdout) == (0, True), told
    assert '"plain_events": 1' in typed("privacy", "status", "--json").stdout


def test_a_start_with_another_master_key_is_refused(database_url: str, tmp_path: Path) -> None:
    asyncio.run(some_users(database_url, 1))
    wrong = serving(database_url, keyring(Settings(master_key=NEW)))
    with pytest.raises(ServiceError, match=r"wrapped by master key [0-9a-f]{16}\. None of"):
        prepare(settings(tmp_path), wrong)


@pytest.fixture
def backup(server_url: str) -> Iterator[str]:
    """Give the address of a copy of the database, once it was made."""
    name = f"test_backup_{uuid4().hex[:12]}"
    yield address(server_url, name)
    run(server_url, "drop database if exists {} with (force)", name)


def copy(server_url: str, database_url: str, to: str) -> None:
    """Make the copy."""
    names = [url.rpartition("/")[2].partition("?")[0] for url in (to, database_url)]
    run(server_url, "create database {} template {}", *names)


async def forget(database_url: str, user_id: UUID) -> None:
    async with working_on(database_url) as tools:
        await execute(tools, ADMIN, forget_user, ForgetUser(user_id=user_id))


def test_a_backup_brings_nobody_back(
    server_url: str, database_url: str, backup: str, tmp_path: Path
) -> None:
    zoe, other = asyncio.run(some_users(database_url, 2))
    copy(server_url, database_url, backup)
    asyncio.run(forget(database_url, zoe))
    prepare(settings(tmp_path), serving(database_url))
    assert tombstones.read(tmp_path / "privacy" / "forgotten") == {zoe}

    async def looked_at() -> tuple[str, str]:
        async with working_on(backup) as tools:
            await signed_in(tools, "user-1@example.com")
            return (await user_of(tools, zoe)).email, (await user_of(tools, other)).email

    assert asyncio.run(looked_at()) == ("user-0@example.com", "user-1@example.com")
    prepare(settings(tmp_path), serving(backup))
    assert asyncio.run(looked_at()) == ("forgotten", "user-1@example.com")
    names = rows(backup, "select name from events where stream_id = %s order by version", zoe)
    assert names == [("user.registered",), ("user.forgotten",)]
    prepare(settings(tmp_path), serving(backup))
    assert rows(backup, "select count(*) from events where name = 'user.forgotten'") == [(1,)]


def test_commands_that_write_bring_nobody_back_either(
    database_url: str, tmp_path: Path, typed: Typed
) -> None:
    zoe, other = asyncio.run(some_users(database_url, 2))
    orders, forgotten = tmp_path / "orders.csv", tmp_path / "var" / "privacy" / "forgotten"
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    orders.write_text(header)
    creating = ("users", "create-admin", "--email", "root@example.com")
    password = {"DAYBOOK_ADMIN_PASSWORD": "a long way round"}
    importing = ("import", "orders", str(orders))
    for person, words, secret in ((zoe, creating, password), (other, importing, {})):
        forgotten.parent.mkdir(parents=True, exist_ok=True)
        forgotten.write_text(f"{person} 2026-11-25T02:00:00Z\n")
        told = typed(*words, **secret)
        assert told.returncode == 0, told
        names = rows(database_url, "select name from events where stream_id = %s", person)
        assert names == [("user.registered",), ("user.forgotten",)]


def test_a_second_import_brings_back_nobody_who_was_forgotten(
    database_url: str, tmp_path: Path, typed: Typed
) -> None:
    lines = [
        "invoice,sku,name,quantity,unit_price,placed_at,customer,currency",
        "A-1,TEA-1,Tea,2,4.20,2024-01-01,quillfeather,GBP",
    ]
    file = tmp_path / "orders.csv"
    file.write_text("\n".join(lines))
    importing = ("import", "orders", str(file))
    assert typed(*importing).returncode == 0
    named = "select stream_id from events where name = 'user.imported'"
    [(person,)] = rows(database_url, named)
    asyncio.run(forget(database_url, person))
    file.write_text("\n".join([*lines, "A-2,TEA-1,Tea,1,4.20,2024-01-02,quillfeather,GBP"]))
    told = typed(*importing)
    assert told.returncode == 0, told
    names = rows(database_url, "select name from events where stream_id = %s", person)
    assert names == [("user.imported",), ("user.forgotten",)]
    shown = "select email, name, status, orders from users_v2 where id = %s"
    assert rows(database_url, shown, person) == [("forgotten", "forgotten", "forgotten", 2)]


def test_the_key_goes_even_of_somebody_who_cannot_be_forgotten(
    database_url: str, tmp_path: Path
) -> None:
    """The backup knows them as the last administrator; and another person not at all."""

    async def appoint() -> UUID:
        async with working_on(database_url) as tools:
            return await administrator(tools)

    root, nobody = asyncio.run(appoint()), uuid4()
    file = tmp_path / "privacy" / "forgotten"
    file.parent.mkdir()
    file.write_text(f"{root} 2026-11-25T02:00:00Z\n{nobody} 2026-11-25T02:00:00Z\n{nobody} 20")
    prepare(settings(tmp_path), serving(database_url))
    query = "select subject_id from subject_keys where wrapped is null order by 1"
    assert {row[0] for row in rows(database_url, query)} == {root, nobody}


def test_the_file_bears_lines_that_were_cut_short(database_url: str, tmp_path: Path) -> None:
    zoe, other = asyncio.run(some_users(database_url, 2))
    file = tmp_path / "privacy" / "forgotten"
    for number, user_id in enumerate((zoe, other)):
        asyncio.run(forget(database_url, user_id))
        with connect(database_url, name="test") as connection:
            assert tombstones.note(connection, file) == 1
            assert tombstones.note(connection, file) == 0
        if not number:
            file.write_bytes(file.read_bytes() + b"\nsomebody-who-was-cu")
    assert tombstones.read(file) == {zoe, other}


def test_addresses_that_were_claimed_plainly_are_hashed(database_url: str, tmp_path: Path) -> None:
    [zoe] = asyncio.run(some_users(database_url, 1))
    plain = email_key("user-0@example.com")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update unique_claims set value = %s", [plain])
    prepare(settings(tmp_path), serving(database_url))
    [(value, stream_id)] = rows(database_url, "select value, stream_id from unique_claims")
    assert (value[:5], stream_id) == ("hmac:", zoe)

    async def sign_in() -> None:
        async with working_on(database_url) as tools:
            await signed_in(tools, "user-0@example.com")

    asyncio.run(sign_in())
