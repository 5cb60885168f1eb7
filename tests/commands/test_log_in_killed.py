"""A sign-in killed between any two lines: what was answered is recorded, nobody is locked out."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from commands.execution import execute
from commands.sessions import door as door_module
from commands.sessions import log_in as log_in_module
from commands.sessions.door import Door
from commands.sessions.log_in import LogIn, log_in
from domain.session import InvalidCredentials
from event_store.sign_ins import FailureLimit, Origin, SignIns
from tests.commands.given import ANYONE, PASSWORD, registered, working_on
from tests.event_store.given import rows
from tests.killing import killed_at_each_line

LIMIT = FailureLimit(5, timedelta(minutes=15))
COUNTS = """
select (select count(*) from events where name = 'session.started'),
       (select count(*) from sign_ins where kind = 'signed_in'),
       (select count(*) from sign_ins where kind = 'failed')
"""


def counts(database_url: str) -> tuple[int, int, int]:
    """Return how many sessions there are, and how many records of sign-ins and of failures."""
    [(sessions, successes, failures)] = rows(database_url, COUNTS)
    return sessions, successes, failures


def test_a_sign_in_killed_between_any_two_lines_is_recorded_if_it_was_answered(
    database_url: str, tmp_path: Path
) -> None:
    refused, answered = tmp_path / "refused", tmp_path / "answered"

    async def mistype_and_sign_in(email: str) -> None:
        records = SignIns(database_url, LIMIT, size=1)
        await records.open()
        try:
            async with working_on(database_url) as bare:
                tools = replace(bare, door=Door(records, lambda: [b"s" * 32]))
                request = LogIn(email=email, password="wrong", origin=Origin(network=email))
                with pytest.raises(InvalidCredentials):
                    await execute(tools, ANYONE, log_in, request)
                refused.touch()
                request = msgspec.structs.replace(request, password=PASSWORD)
                found = (await execute(tools, ANYONE, log_in, request)).answer
                await tools.door.signed_in(email, request.origin, found.user_id, found.session_id)
                answered.touch()
        finally:
            await records.close()

    known = (0, 0, 0)
    emails = [f"alice-{number}@example.com" for number in range(200)]

    async def register() -> None:
        async with working_on(database_url) as tools:
            await registered(tools, emails[0])

    def before() -> None:
        nonlocal known
        emails.pop(0)
        asyncio.run(register())
        known = counts(database_url)
        refused.unlink(missing_ok=True)
        answered.unlink(missing_ok=True)

    def act() -> None:
        asyncio.run(mistype_and_sign_in(emails[0]))

    def after() -> None:
        sessions, successes, failures = (
            now - then for now, then in zip(counts(database_url), known, strict=True)
        )
        assert failures == 1 if refused.exists() else failures in {0, 1}
        assert successes == 1 if answered.exists() else successes in {0, 1}
        assert successes <= sessions <= 1
        act()  # whoever died has left nothing that keeps them out
        assert answered.exists()

    modules = [log_in_module, door_module]
    assert killed_at_each_line(act, modules, before=before, after=after) > 25
