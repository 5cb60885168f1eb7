"""A process that is killed while keys are made: no event without its key, no person without one."""

import asyncio
from uuid import UUID

from event_store.connections import connect
from event_store.privacy import keyring as keyring_module
from event_store.privacy import sealer
from event_store.reading import stream
from event_store.records import Append, Claim, StreamChange
from tests.event_store.conftest import database_url
from tests.event_store.given import command, keyring, rows
from tests.event_store.privacy.test_keyring import REGISTERED, RENAMED, opened
from tests.killing import killed_at_each_line

__all__ = ["database_url"]

THERE = "select count(*) from events where stream_id = %s"
KEYS = "select count(*), count(wrapped) from subject_keys"


def test_keys_that_are_made_by_a_process_killed_between_any_two_lines(database_url: str) -> None:
    people: list[UUID] = []

    def before() -> None:
        people.append(UUID(int=len(people) + 1))

    def act() -> None:
        asyncio.run(register(database_url, people[-1]))

    def after() -> None:
        person = people[-1]
        if rows(database_url, THERE, person) == [(0,)]:
            act()
        with connect(database_url, name="test") as lent:
            assert stream(lent, person, keyring()) == [REGISTERED, RENAMED]
        assert rows(database_url, KEYS) == [(len(people) + 1,) * 2]  # and the one for claims

    modules = [keyring_module, sealer]
    assert killed_at_each_line(act, modules, before=before, after=after) > 60


async def register(database_url: str, person: UUID) -> None:
    """Register somebody who has no key yet, by a process that remembers none."""
    async with opened(database_url, keyring()) as store:
        await store.append(registering(person))


def registering(person: UUID) -> Append:
    change = StreamChange(person, "user", 0, (REGISTERED, RENAMED), subject=person)
    return command(change, claims=[Claim("user.email", str(person), person, personal=True)])
