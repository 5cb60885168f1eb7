"""The door: how many sign-ins may fail, exactly, and that trying tells no more (S14-S16)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from argon2 import PasswordHasher

from commands import passwords
from commands.execution import execute
from commands.passwords import Passwords
from commands.sessions.door import Door
from commands.sessions.log_in import LogIn, log_in
from commands.users.change_password import ChangePassword, change_password
from commands.work import Tools
from domain.session import InvalidCredentials, TooManyFailures
from event_store.records import StoreOverloaded, StoreUnavailable
from event_store.sign_ins import FAIL, FailureLimit, Origin, SignIns
from event_store.store import EventStore
from event_store.upkeep import forget_old_sign_ins
from tests.commands.given import ANYONE, PASSWORD, asking, outcomes, registered
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import keyring, rows

LIMIT = FailureLimit(5, timedelta(minutes=15))
KEY = b"k" * 32
WRONG = "wrong password"


@asynccontextmanager
async def guarded(
    database_url: str, limit: FailureLimit | None = LIMIT, *keys: bytes
) -> AsyncIterator[Tools]:
    """Run what commands work with, behind a door of a process's own."""
    records = SignIns(database_url, limit)
    store, hashes = EventStore(database_url, keys=keyring(), on_append=lambda _: None), Passwords()
    tools = Tools(store, hashes, Door(records, lambda: keys or (KEY,)))
    await store.open()
    await records.open()
    try:
        yield tools
    finally:
        await store.close()
        await records.close()
        hashes.close()


def somebody() -> tuple[str, Origin]:
    """Return an e-mail address and where somebody sits that no other test knows."""
    place = uuid4().hex
    return f"{place}@example.com", Origin(address=place, network=place, request_id="r")


async def tried(tools: Tools, email: str, origin: Origin, password: str = WRONG) -> str:
    """Try to sign in as over HTTP; return the name of what came of it."""
    request = LogIn(email=email, password=password, origin=origin)
    try:
        receipt = await execute(tools, ANYONE, log_in, request)
    except (InvalidCredentials, TooManyFailures, StoreUnavailable) as refusal:
        return type(refusal).__name__
    found = receipt.answer
    await tools.door.signed_in(email, origin, found.user_id, found.session_id)
    return "SignedIn"


@on_a_loop
async def test_the_sixth_failure_is_turned_away_and_so_is_the_right_password(
    database_url: str,
) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        for _ in range(5):
            assert await tried(tools, email, origin) == "InvalidCredentials"
        assert await tried(tools, email, origin) == "TooManyFailures"
        assert await tried(tools, email, origin, PASSWORD) == "TooManyFailures"
        _, elsewhere = somebody()
        assert await tried(tools, email, elsewhere, PASSWORD) == "TooManyFailures"
        told: list[str] = []
        tools.door._told = told.append
        with pytest.raises(TooManyFailures) as caught:
            await tools.door.check(email, elsewhere)
        assert told == ["refused"]
        assert (caught.value.most, caught.value.span) == (5, 900)
        assert 890 < caught.value.wait <= 900


@on_a_loop
async def test_an_unknown_address_is_locked_like_a_known_one(database_url: str) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        got = [await tried(tools, email, origin) for _ in range(6)]
        assert got == ["InvalidCredentials"] * 5 + ["TooManyFailures"]


@on_a_loop
async def test_a_network_is_locked_whatever_accounts_it_tries(database_url: str) -> None:
    async with guarded(database_url) as tools:
        _, origin = somebody()
        for _ in range(5):
            assert await tried(tools, somebody()[0], origin) == "InvalidCredentials"
        assert await tried(tools, somebody()[0], origin) == "TooManyFailures"
        email, elsewhere = somebody()
        assert await tried(tools, email, elsewhere) == "InvalidCredentials"


@on_a_loop
async def test_a_success_forgives_the_account_and_not_the_network(database_url: str) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        for _ in range(4):
            await tried(tools, email, origin)
        assert await tried(tools, email, origin, PASSWORD) == "SignedIn"
        assert await tried(tools, email, origin) == "InvalidCredentials"
        assert await tried(tools, email, origin) == "TooManyFailures"  # the network's sixth
        _, elsewhere = somebody()
        got = [await tried(tools, email, elsewhere) for _ in range(5)]
        assert got == ["InvalidCredentials"] * 4 + ["TooManyFailures"]


@on_a_loop
async def test_the_lock_opens_when_the_window_has_moved(database_url: str) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        for _ in range(6):
            await tried(tools, email, origin)
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "update sign_ins set at = at - interval '15 minutes' where network = %s",
                [origin.network],
            )
        assert await tried(tools, email, origin, PASSWORD) == "SignedIn"


@on_a_loop
async def test_of_all_who_try_at_once_on_four_processes_exactly_five_are_told(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(1, 8, 1))  # no time to lose
    email, origin = somebody()
    async with (
        guarded(database_url) as one,
        guarded(database_url) as two,
        guarded(database_url) as three,
        guarded(database_url) as four,
    ):
        got = await asyncio.gather(
            *(tried(tools, email, origin) for _ in range(25) for tools in (one, two, three, four))
        )
    # On a busy machine some may wait too long for the lock: they are told nothing, too.
    assert got.count("InvalidCredentials") == 5
    assert set(got) <= {"InvalidCredentials", "TooManyFailures", "StoreUnavailable"}
    found = rows(
        database_url,
        f"select kind, count(*) from sign_ins where network = '{origin.network}'"  # noqa: S608 - a test's own
        " group by kind order by kind",
    )
    assert found[0] == ("failed", 5)


@on_a_loop
async def test_an_attempt_waits_for_one_that_has_not_ended(database_url: str) -> None:
    """Or both of them would be the last one that is allowed."""
    email, origin = somebody()
    most, span = 1, timedelta(minutes=15)
    records = SignIns(database_url, FailureLimit(most, span))
    await records.open()
    async with await psycopg.AsyncConnection.connect(database_url) as first:
        await first.execute(FAIL, [[email], origin.network, most, span, None, "", "", ""])
        second = asyncio.create_task(records.fail([email], origin, None))
        await asyncio.sleep(0.3)
        assert not second.done()
        await first.commit()
        assert await second > 800
    await records.close()


@on_a_loop
async def test_who_is_locked_out_costs_no_hash(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        for _ in range(5):
            await tried(tools, email, origin)
        hashed: list[str] = []
        monkeypatch.setattr(passwords, "fits", lambda *_: hashed.append("hash"))
        assert await tried(tools, email, origin, PASSWORD) == "TooManyFailures"
        assert hashed == []


@on_a_loop
async def test_the_right_password_is_turned_away_if_others_failed_while_it_was_looked_at(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever tries many at once would be told which one is right."""
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        fits = tools.passwords.fits

        async def slowly(password_hash: str | None, password: str) -> bool:
            for _ in range(5):
                await tools.door.failed(email, origin, None)
            return await fits(password_hash, password)

        monkeypatch.setattr(tools.passwords, "fits", slowly)
        assert await tried(tools, email, somebody()[1], PASSWORD) == "TooManyFailures"


@on_a_loop
async def test_failures_count_on_under_a_new_secret(database_url: str) -> None:
    email, _ = somebody()
    async with guarded(database_url) as tools:
        for _ in range(5):
            await tried(tools, email, somebody()[1])
    async with guarded(database_url, LIMIT, b"n" * 32, KEY) as rotated:
        assert await tried(rotated, email, somebody()[1]) == "TooManyFailures"


@on_a_loop
async def test_without_a_limit_failures_are_recorded_and_nobody_is_locked(
    database_url: str,
) -> None:
    email, origin = somebody()
    async with guarded(database_url, None) as tools:
        got = [await tried(tools, email, origin) for _ in range(7)]
    assert got == ["InvalidCredentials"] * 7


@on_a_loop
async def test_what_is_recorded_names_no_address_and_no_password(database_url: str) -> None:
    email, origin = somebody()
    async with guarded(database_url) as tools:
        user = await registered(tools, email)
        await tried(tools, email, origin, "guess-by-somebody")
        await tried(tools, email, origin, PASSWORD)
    found = rows(
        database_url,
        "select kind, user_id, session_id is null, account, sign_ins::text from sign_ins"  # noqa: S608 - a test's own
        f" where network = '{origin.network}' order by number",
    )
    assert [row[:3] for row in found] == [("failed", user, True), ("signed_in", user, False)]
    assert found[0][3] == found[1][3]
    assert len(found[0][3]) == 64
    assert not any(word in str(found) for word in (email, "guess-by-somebody", PASSWORD))


@on_a_loop
async def test_a_wrong_current_password_counts_like_a_sign_in(database_url: str) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        user = await registered(tools, email)
        asker = asking("customer", user, uuid4())

        async def changed(current: str) -> None:
            request = ChangePassword(
                user_id=user, current_password=current, new_password="a new one", origin=origin
            )
            await execute(tools, asker, change_password, request)

        got = await outcomes([changed("wrong") for _ in range(7)])
        assert got == ["InvalidCredentials"] * 5 + ["TooManyFailures"] * 2
        assert await outcomes([changed(PASSWORD)]) == ["TooManyFailures"]
        assert await tried(tools, email, origin, PASSWORD) == "TooManyFailures"


@on_a_loop
async def test_who_is_unknown_costs_what_who_is_known_costs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    fits = passwords.fits

    def counted(password_hash: str | None, password: str) -> bool:
        done.append("hash")
        return fits(password_hash, password)

    monkeypatch.setattr(passwords, "fits", counted)
    async with guarded(database_url) as tools:
        load = tools.store.load_after

        async def loaded(wanted: Any) -> Any:
            done.append("load")
            return await load(wanted)

        monkeypatch.setattr(tools.store, "load_after", loaded)
        email, origin = somebody()
        await registered(tools, email)
        for address in (email, email, somebody()[0]):
            done.clear()
            await tried(tools, address, origin)
            assert done == ["load", "hash"]


@on_a_loop
async def test_the_clock_does_not_tell_who_has_an_account(database_url: str) -> None:
    async with guarded(database_url, None) as tools:
        email, origin = somebody()
        await registered(tools, email)

        async def seconds(address: str) -> float:
            began = time.perf_counter()
            assert await tried(tools, address, origin) == "InvalidCredentials"
            return time.perf_counter() - began

        ratios = []
        for _ in range(5):  # noise differs each time; a hash that is not made, never
            pairs = [(await seconds(email), await seconds(somebody()[0])) for _ in range(15)]
            known, unknown = (median(one) for one in zip(*pairs, strict=True))
            ratios.append(unknown / known)
            if 0.9 < ratios[-1] < 1.1:
                return
        pytest.fail(f"An unknown address takes {ratios} times as long as a known one.")


@on_a_loop
async def test_nobody_gets_in_while_failures_cannot_be_counted(database_url: str) -> None:
    async with guarded(database_url) as tools:
        email, origin = somebody()
        await registered(tools, email)
        away = SignIns("postgresql://127.0.0.1:1/none", LIMIT)
        await away.open()
        shut = Tools(tools.store, tools.passwords, Door(away, lambda: [KEY]))
        assert await tried(shut, email, origin, PASSWORD) == "StoreUnavailable"
        await away.close()


@on_a_loop
async def test_a_flood_of_passwords_is_turned_away_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "MOST_WAITING", 3)
    hashes = Passwords()
    got = await asyncio.gather(
        *(hashes.fits(None, "wrong") for _ in range(5)), return_exceptions=True
    )
    assert [type(one) for one in got] == [bool, bool, bool, StoreOverloaded, StoreOverloaded]
    assert await hashes.fits(None, "wrong") is False
    hashes.close()


@on_a_loop
async def test_old_records_are_forgotten_and_new_ones_kept(database_url: str) -> None:
    email, origin = somebody()
    async with guarded(database_url) as tools:
        await tried(tools, email, origin)
        await tried(tools, email, origin)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "update sign_ins set at = at - interval '181 days' where number ="
            " (select min(number) from sign_ins where network = %s)",
            [origin.network],
        )
        assert forget_old_sign_ins(connection, timedelta(days=180)) == 1
        left = connection.execute(
            "select count(*) from sign_ins where network = %s", [origin.network]
        ).fetchone()
    assert left == (1,)
