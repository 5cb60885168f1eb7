"""The judge finds each kind of wrong, planted in a log that is right."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection

from event_store.append_sql import CALL, arguments, verdicts
from event_store.records import Appended, Repeated, VersionConflict
from tests.conftest import tampering
from tests.event_store.conftest import database_url
from tests.oracle.judge import PROMISES, Judgement, judge
from tests.oracle.ledger import Ledger
from tests.oracle.requests import Request, command_id, command_of, fresh, own
from tests.oracle.seen import Seen

__all__ = ["database_url"]

ONE, TWO = own(0, 1), own(0, 2)
FIRST, AGAIN, STALE = command_id(0, 1, 1), command_id(0, 1, 2), command_id(0, 3, 1)
REQUESTS = (
    (FIRST, Request(1, ((ONE, 3),), "0/1")),
    (AGAIN, Request(1, ((ONE, 3),), "0/1")),
    (command_id(0, 2, 1), Request(2, ((ONE, 2), (TWO, 1)), "0/2")),
    (STALE, Request(3, ((ONE, 1),), None, stale=True)),
    (command_id(0, 4, 1), Request(4, ((fresh(0, 4), 1),), None, "a value")),
    (command_id(0, 5, 1), Request(5, ((fresh(0, 5), 1),), None, "a value")),
    (command_id(0, 6, 1), Request(6, ((TWO, 0),), "0/6")),
)
STORED = 7

Wrong = Callable[["Connection[Any]", Ledger], object]


class Found:
    """A log of a few commands, and their ledger."""

    def __init__(self, connection: "Connection[Any]", folder: Path) -> None:
        self.connection, self.folder = connection, folder
        self.ledger = Ledger(folder, 0)
        self.words: list[str] = []
        versions: dict[UUID, int] = {}
        for asked, request in REQUESTS:
            self._append(asked, request, versions)

    def judged(self) -> Judgement:
        return judge(self.connection, self.folder, [Seen(runs=[[1, STORED]])])

    def _append(self, asked: UUID, request: Request, versions: dict[UUID, int]) -> None:
        self.ledger.ask(asked, request)
        command = command_of(request, asked, versions)
        rows = self.connection.execute(CALL, arguments([command])).fetchall()
        [answer] = verdicts([command], rows)
        if isinstance(answer, Appended):
            self.ledger.tell(asked, "appended", answer.position, str(asked))
            versions |= {c.stream_id: c.expected_version + len(c.events) for c in command.changes}
        elif isinstance(answer, Repeated):
            self.ledger.tell(asked, "repeated", answer.position, answer.answer)
        else:
            conflict = isinstance(answer, VersionConflict)
            self.ledger.tell(asked, "conflict" if conflict else "claimed")
        self.words.append(type(answer).__name__)


@pytest.fixture
def found(database_url: str, tmp_path: Path) -> Iterator[Found]:
    """Give a log that is right."""
    with tampering(database_url) as connection:
        made = Found(connection, tmp_path)
        with made.ledger:
            yield made


def test_a_log_that_is_right_breaks_no_promise(found: Found) -> None:
    judgement = found.judged()
    assert found.words[:2] == ["Appended", "Repeated"]
    assert found.words[3:6] == ["VersionConflict", "Appended", "ClaimTaken"]
    assert judgement.broken == {}
    assert (judgement.stored, judgement.seen, judgement.missed) == (STORED, STORED, 0)
    assert judgement.words["appended"] == (4, 3)


def test_each_promise_has_a_wrong_that_breaks_it() -> None:
    assert set(WRONGS) == set(PROMISES)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_wrong_is_found(found: Found, promise: str) -> None:
    WRONGS[promise](found.connection, found.ledger)
    assert promise in found.judged().broken


def asks_in_vain(ledger: Ledger) -> None:
    ledger.ask(command_id(0, 9, 1), Request(9, ((ONE, 1),), "0/9"))


def is_refused_for_nothing(ledger: Ledger) -> None:
    asked = command_id(0, 9, 1)
    ledger.ask(asked, Request(9, ((ONE, 1),), None, "another value"))
    ledger.tell(asked, "claimed")


WRONGS: dict[str, Wrong] = {
    "positions are 1, 2, 3 ... up to the head": lambda log, _: log.execute(
        "delete from events where position = 4"
    ),
    "recorded_at never runs backwards": lambda log, _: log.execute(
        "update events set recorded_at = recorded_at - interval '1 hour' where position = 5"
    ),
    "versions of a stream are 1, 2, 3 ...": lambda log, _: log.execute(
        "update events set version = 9 where position = 5"
    ),
    "versions of a stream rise with positions": lambda log, _: log.execute(
        "update events set position = case position when 1 then -1 when 2 then -2 end"
        " where position in (1, 2)"
    ),
    "nothing is stored that nobody asked for": lambda log, _: log.execute(
        "update events set command_id = %s where position = 1", [uuid4()]
    ),
    "a command is stored whole, in one piece, where it was meant to be": lambda log, _: log.execute(
        """update events set data = '{"text": "x"}' where position = 1"""
    ),
    "an acknowledged command is stored, at the position that was told": lambda log, _: log.execute(
        "delete from events where command_id = %s", [FIRST]
    ),
    "a refused, repeated or rolled back command is not stored": lambda log, _: log.execute(
        "update events set command_id = %s where position = 7", [STALE]
    ),
    "a key has one effect": lambda log, _: log.execute(
        "update events set command_id = %s where position = 3", [AGAIN]
    ),
    "everybody is told the same under a key": lambda _, ledger: ledger.tell(
        AGAIN, "repeated", 2, str(FIRST)
    ),
    "a key keeps its answer": lambda log, _: log.execute("delete from idempotency_keys"),
    "a request with a key ends in an answer": lambda _, ledger: asks_in_vain(ledger),
    "a value is held by the one who claimed it first": lambda log, _: log.execute(
        "delete from unique_claims"
    ),
    "nobody is refused a value that is free": lambda _, ledger: is_refused_for_nothing(ledger),
}


def test_what_a_reader_missed_or_dreamt_or_saw_twice_is_found(found: Found) -> None:
    readers = [Seen(runs=[[1, 3], [5, STORED]]), Seen(runs=[[1, STORED + 2]], wrong=1)]
    judgement = judge(found.connection, found.folder, readers)
    assert (judgement.missed, judgement.dreamt, judgement.seen) == (1, 2, STORED - 1)
    assert len(judgement.broken) == 2


def test_a_writer_that_is_started_again_knows_what_is_unsure(tmp_path: Path) -> None:
    with Ledger(tmp_path, 0) as ledger:
        for number, (asked, request) in enumerate(REQUESTS):
            ledger.ask(asked, request)
            if number in {0, 3}:
                ledger.tell(asked, "conflict")
    with (tmp_path / "told-0").open("ab") as torn:
        torn.write(b"half of a li")
    with Ledger(tmp_path, 0) as again:
        assert again.resume() == (7, [1, 2, 6])
        assert again.attempts[1] == 2
        again.tell(AGAIN, "unavailable")
    assert (tmp_path / "told-0").read_text().count("\n") == 3
