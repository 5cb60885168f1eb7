"""Postgres killed, stopped, frozen under load: what was acknowledged is kept, all else is said."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from event_store.records import StoreUnavailable
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import everything, note, noting
from tests.event_store.outages import (
    Clients,
    check_order,
    folder,
    keyed,
    opened,
    server_in,
    until_appended,
)
from tests.oracle.server import frozen, own_postgres, signalled

__all__ = ["folder"]
pytestmark = pytest.mark.timeout(240)

IN_TIME = 6.0
BACK_AFTER_A_BACKEND, BACK_AFTER_A_POSTMASTER, BACK_AFTER_A_STOP = 5.0, 15.0, 5.0
STOPPED_SECONDS = float(os.environ.get("DAYBOOK_TEST_OUTAGE", "3"))


@on_a_loop
async def test_what_was_acknowledged_survives_the_death_of_backends_and_of_postgres(
    folder: Path,
) -> None:
    with server_in(folder) as server:
        async with opened(server.url) as store:
            clients = Clients(store)
            async with clients.at_work(8):
                await clients.first_acknowledgement()
                for _ in range(2):
                    signalled(server.backends("daybook append")[0], signal.SIGKILL)
                    assert await clients.first_acknowledgement() < BACK_AFTER_A_BACKEND
                signalled(server.postmaster, signal.SIGKILL)
                assert await clients.first_acknowledgement() < BACK_AFTER_A_POSTMASTER
        log = everything(server.url)
    assert clients.unsure > 0
    assert clients.slowest < IN_TIME
    assert clients.ledger == {event.stream_id: event.position for event in log}
    check_order(log)


@on_a_loop
async def test_a_stopped_postgres_is_said_in_time_and_found_again(folder: Path) -> None:
    kept = uuid4()
    async with AsyncExitStack() as stack:
        with server_in(folder) as server:
            store = await stack.enter_async_context(opened(server.url))
            await store.append(noting(kept))
        ends = monotonic() + STOPPED_SECONDS
        while monotonic() < ends:
            for asking in (store.append(noting(uuid4())), store.load(kept), store.head()):
                began = monotonic()
                with pytest.raises(StoreUnavailable):
                    await asking
                assert monotonic() - began < IN_TIME
        with own_postgres(folder) as again:
            assert again.url == server.url
            assert await until_appended(store) < BACK_AFTER_A_STOP
            assert await store.load(kept) == [note()]
            await stack.aclose()
            check_order(everything(again.url))


@on_a_loop
async def test_a_frozen_postgres_is_said_in_time_and_its_commands_are_done_once(
    folder: Path,
) -> None:
    streams = [uuid4() for _ in range(8)]
    with server_in(folder) as server:
        async with opened(server.url) as store:
            await store.append(noting(uuid4()))
            with frozen([server.postmaster, *server.backends("%")]):
                began = monotonic()
                asked = [store.append(keyed(stream)) for stream in streams]
                answers = await asyncio.gather(*asked, store.head(), return_exceptions=True)
                assert {type(answer) for answer in answers} == {StoreUnavailable}
                assert monotonic() - began < IN_TIME
            assert await until_appended(store) < BACK_AFTER_A_STOP
            again = await asyncio.gather(*(store.append(keyed(stream)) for stream in streams))
        log = everything(server.url)
    told = {stream: answer.position for stream, answer in zip(streams, again, strict=True)}
    found = {event.stream_id: event.position for event in log}
    assert told.items() <= found.items()
    assert len(found) == len(log) == len(streams) + 2
    check_order(log)
