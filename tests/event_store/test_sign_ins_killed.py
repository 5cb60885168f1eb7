"""A guess at a password that is killed between any two lines is counted before it is answered."""

import asyncio
from datetime import timedelta
from pathlib import Path

from event_store import sign_ins
from event_store.connections import connect
from event_store.sign_ins import FailureLimit, Origin, SignIns
from tests.killing import killed_at_each_line

LIMIT = FailureLimit(3, timedelta(minutes=15))
COUNT = "select count(*) from sign_ins where kind = 'failed' and account = %s"


def test_a_guess_killed_between_any_two_lines_is_counted_if_it_was_answered(
    database_url: str, tmp_path: Path
) -> None:
    answered = tmp_path / "answered"
    numbers = iter(range(1_000))
    account = ""

    async def guess(accounts: list[str], network: str) -> float:
        guesses = SignIns(database_url, LIMIT, size=1)
        await guesses.open()
        try:
            if wait := await guesses.wait(accounts, network):
                return wait
            return await guesses.fail(accounts, Origin(network=network), None)
        finally:
            await guesses.close()

    def before() -> None:
        nonlocal account
        account = f"account-{next(numbers)}"
        answered.unlink(missing_ok=True)

    def act() -> None:
        asyncio.run(guess([account], account))
        answered.write_text("wrong", encoding="utf-8")

    def after() -> None:
        with connect(database_url, name="test") as lent:
            row = lent.execute(COUNT, [account]).fetchone()
            assert row is not None
            assert row[0] == 1 if answered.exists() else row[0] in {0, 1}

            async def more() -> list[float]:
                return [await guess([account], account) for _ in range(LIMIT.most + 1 - row[0])]

            # Whoever died holds no lock, and what it has left counts: no guess more than allowed.
            waits = asyncio.run(asyncio.wait_for(more(), 10))
            assert not any(waits[:-1])
            assert 0 < waits[-1] <= LIMIT.span.total_seconds()
            assert lent.execute(COUNT, [account]).fetchone() == (LIMIT.most,)

    kills = killed_at_each_line(act, [sign_ins], before=before, after=after)
    assert kills > 15
