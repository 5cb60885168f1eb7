"""Keys are on disk before anything is encrypted with them, and nothing personal is stored plain."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

from domain.personal import FORGOTTEN
from domain.user import UserEmailChanged, UserRegistered, UserRenamed
from event_store.connections import borrowed, connect
from event_store.privacy.keyring import LOOKUP, NO_KEYS, Keyring, NoMasterKey
from event_store.privacy.master_keys import LocalMasterKeys, WrongMasterKey
from event_store.privacy.sealing import NoSubject
from event_store.reading import page, stream
from event_store.records import Append, Claim, StreamChange
from event_store.store import EventStore
from tests.conftest import tampering
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.conftest import database_url
from tests.event_store.given import AUDIT, command, everything, keyring, rows

__all__ = ["database_url"]

ZOE, BOB = UUID(int=1), UUID(int=2)
EMAIL = "zoe@example.com"
REGISTERED = UserRegistered(EMAIL, "Zoë", "argon2 of Zoë", "customer")
RENAMED = UserRenamed("Zoë B.")
NAMES = ["user.registered", "user.renamed", "user.email_changed"]


@asynccontextmanager
async def opened(database_url: str, keys: Keyring) -> AsyncIterator[EventStore]:
    store = EventStore(database_url, keys=keys, on_append=lambda _: None)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def registering(user_id: UUID = ZOE) -> Append:
    change = StreamChange(user_id, "user", 0, (REGISTERED, RENAMED), subject=user_id)
    return command(change, claims=[Claim("user.email", EMAIL, user_id, personal=True)])


@on_a_loop
async def test_nothing_personal_stands_in_the_log_and_all_readers_read_it(
    database_url: str,
) -> None:
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
    [(log, claims)] = rows(
        database_url,
        "select (select string_agg(e::text, '') from events e),"
        " (select string_agg(c::text, '') from unique_claims c)",
    )
    assert "customer" in log
    assert all(word not in log for word in ("zoe", "Zoë", "argon2"))
    assert "zoe" not in claims
    async with opened(database_url, keyring()) as other:
        assert await other.load(ZOE) == [REGISTERED, RENAMED]
        assert await other.find("user.email", EMAIL, personal=True) == ZOE
        assert await other.find("user.email", "bob@example.com", personal=True) is None
    assert [one.event for one in everything(database_url)] == [REGISTERED, RENAMED]
    with connect(database_url, name="test") as connection:
        assert stream(connection, ZOE, keyring()) == [REGISTERED, RENAMED]


@on_a_loop
async def test_one_subject_has_one_key_whoever_asks_first(database_url: str) -> None:
    rings = [keyring() for _ in range(4)]
    subjects = [uuid4() for _ in range(20)]
    stores = [EventStore(database_url, keys=ring, on_append=lambda _: None) for ring in rings]
    for store in stores:
        await store.open()
    asked = [
        store.append(registering_as(subject, n))
        for subject in subjects
        for n, store in enumerate(stores)
    ]
    await asyncio.gather(*asked)
    for store in stores:
        await store.close()
    assert len(everything(database_url)) == 80
    assert rows(database_url, "select count(*) from subject_keys") == [(21,)]
    for subject in (*subjects, LOOKUP):
        found = [ring.known([subject])[subject] for ring in rings]
        assert len({key and key.secret for key in found}) == 1


def registering_as(subject: UUID, number: int) -> Append:
    change = StreamChange(uuid4(), "order", 0, (UserRenamed(f"name {number}"),), subject=subject)
    return command(change, claims=[Claim("user.email", str(uuid4()), subject, personal=True)])


@on_a_loop
async def test_without_a_master_key_nothing_personal_is_stored_or_read(database_url: str) -> None:
    async with opened(database_url, NO_KEYS) as store:
        with pytest.raises(NoMasterKey):
            await store.append(registering())
        with pytest.raises(NoMasterKey):
            await store.find("user.email", EMAIL, personal=True)
    assert rows(database_url, "select count(*) from events") == [(0,)]
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
    with connect(database_url, name="test") as connection, pytest.raises(NoMasterKey):
        page(connection, 0, 9, NAMES)


@on_a_loop
async def test_another_master_key_is_an_error_and_makes_no_second_keys(database_url: str) -> None:
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
    wrong = Keyring(LocalMasterKeys(lambda: ["another master key, long enough"]))
    async with opened(database_url, wrong) as store:
        with pytest.raises(WrongMasterKey):
            await store.load(ZOE)
        with pytest.raises(WrongMasterKey):
            await store.append(registering(BOB))
    assert rows(database_url, "select count(*) from subject_keys") == [(2,)]


@on_a_loop
async def test_of_somebody_forgotten_nothing_is_read_and_nothing_is_written(
    database_url: str,
) -> None:
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
    forget(database_url)
    async with opened(database_url, keyring()) as store:
        read = await store.load(ZOE)
        assert read == [
            UserRegistered(FORGOTTEN, FORGOTTEN, FORGOTTEN, "customer"),
            UserRenamed(FORGOTTEN),
        ]
        late = StreamChange(ZOE, "user", 2, (UserEmailChanged("a@x.org"),), subject=ZOE)
        await store.append(command(late))
    assert rows(database_url, "select data from events where version = 3") == [
        ({"email": FORGOTTEN},)
    ]
    assert rows(database_url, "select count(*) from subject_keys where wrapped is not null") == [
        (1,)
    ]


def test_a_key_that_was_destroyed_elsewhere_is_remembered_for_half_a_minute_at_most(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(register(database_url))
    ring, now = keyring(), time.monotonic
    later = 0.0
    monkeypatch.setattr("event_store.privacy.keyring.time.monotonic", lambda: now() + later)
    with connect(database_url, name="test") as connection:
        assert stream(connection, ZOE, ring) == [REGISTERED, RENAMED]
        forget(database_url)
        later = 30.0
        assert stream(connection, ZOE, ring)[1] == UserRenamed(FORGOTTEN)


async def register(database_url: str) -> None:
    async with opened(database_url, keyring()) as store:
        await store.append(registering())


def forget(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        connection.execute(
            "update subject_keys set master = null, wrapped = null, forgotten_at = now()"
            " where subject_id = %s",
            [ZOE],
        )


@on_a_loop
async def test_a_key_outlives_the_process_that_dies_before_it_appends(database_url: str) -> None:
    ring = keyring()
    async with opened(database_url, ring) as store:
        await store.find("user.email", EMAIL, personal=True)
        async with borrowed(store._pool) as connection:
            await ring.make_async(connection, [ZOE])
    assert rows(database_url, "select count(*) from events") == [(0,)]
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
        assert await store.load(ZOE) == [REGISTERED, RENAMED]


@on_a_loop
async def test_whom_a_personal_field_is_about_must_be_said(database_url: str) -> None:
    async with opened(database_url, keyring()) as store:
        nobodys = Append(uuid4(), AUDIT, (StreamChange(ZOE, "user", 0, (REGISTERED,)),))
        with pytest.raises(NoSubject):
            await store.append(nobodys)


@on_a_loop
async def test_a_token_that_stands_elsewhere_is_named_and_not_believed(database_url: str) -> None:
    async with opened(database_url, keyring()) as store:
        await store.append(registering())
        move = "update events set data = (select data from events where version = 2)"
        with tampering(database_url) as connection:
            connection.execute(f"{move}, name = 'user.renamed' where version = 1".encode())
        with pytest.raises(Exception, match=f"position 1: name of {ZOE} version 1 does not open"):
            await store.load(ZOE)


def test_what_was_stored_before_fields_were_encrypted_is_read_as_it_is(database_url: str) -> None:
    with tampering(database_url) as connection:
        connection.execute(
            "insert into events values (1, %s, 'user', 1, 'user.renamed', 1, %s, 'a', 'a', 'a',"
            " 'a', null, %s, 'a', now(), now())",
            [ZOE, '{"name": "sealed.1.00000000000000000000000000000001.AAAA"}', BOB],
        )
        connection.execute("update log_head set position = 1")
        [event] = stream(connection, ZOE, keyring())
    assert event == UserRenamed("sealed.1.00000000000000000000000000000001.AAAA")
