"""A witness gets each head as it is signed, once it can be reached, and holds nothing up."""

from collections.abc import Iterator
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daybook import witness
from daybook.notary import attest, folder_of, keep_evidence
from daybook.witness import Witness
from event_store.connections import connect
from event_store.evidence.heads import origin_of
from event_store.history.accesses import Access, note
from tests.daybook.receiving import Receiving, receiving
from tests.event_store.evidence.given import SEED, record

NOW = timedelta(0)


class Place(ThreadingHTTPServer):
    """Keeps what it is sent, while it does not refuse."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Sending)
        self.kept: list[str] = []
        self.answer = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/daybook"


class Sending(Receiving):
    """One head that is sent."""

    server: Place

    def receive(self, body: bytes) -> int:
        """Keep it, or not."""
        assert (self.path, self.headers["content-type"]) == (
            "/daybook",
            "text/plain; charset=utf-8",
        )
        if self.server.answer < 300:
            self.server.kept.append(body.decode())
        return self.server.answer


@pytest.fixture
def place() -> Iterator[Place]:
    with receiving(Place()) as server:
        yield server


def test_each_head_is_sent_as_it_is_published_and_again_if_it_was_not_taken(
    database_url: str, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = Witness(place.url)
    with connect(database_url, name="test") as connection:
        folder = folder_of(tmp_path, origin_of(connection))

        def published() -> list[str]:
            """Have what is there signed; return what is published of it."""
            attest(connection, (SEED,), tmp_path, NOW)
            files = (folder / "head.note", folder / "accesses.note")
            return [one.read_text() for one in files if one.exists()]

        record(database_url, 3)
        [head] = published()
        for _ in range(2):
            telling.tell(connection)
        assert place.kept == [head]
        record(database_url, 1)
        note(connection, Access("auditor", "auditor", "r", "events", {}), 1)
        missed = published()
        place.answer = 503
        with capture_logs() as logs:
            for _ in range(2):
                telling.tell(connection)
        assert [one["event"] for one in logs] == ["witness_away"]  # it is left alone for a while
        place.answer = 204
        monkeypatch.setattr(witness, "SECONDS_TO_LEAVE_IT_ALONE", 0.0)
        telling._alone_until = 0.0
        telling.tell(connection)
        assert sorted(place.kept[1:]) == sorted(missed)
        assert len(missed) == 2
    with connect(database_url, name="test") as connection, capture_logs() as logs:
        for url in ("http://127.0.0.1:1/", "http://127.0.0.1:no port/", None):
            Witness(url).tell(connection)
    assert [one["event"] for one in logs] == ["witness_away"] * 2


class Ended(BaseException):
    """The process ends here."""


def ends(*_: object) -> None:
    raise Ended


def test_a_notary_tells_its_witness(
    database_url: str, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(database_url, 3)
    monkeypatch.setattr("daybook.notary.time.sleep", ends)
    with pytest.raises(Ended):
        keep_evidence(database_url, (SEED,), tmp_path, Witness(place.url))
    with connect(database_url, name="test") as connection:
        folder = folder_of(tmp_path, origin_of(connection))
    assert place.kept == [(folder / "head.note").read_text()]
