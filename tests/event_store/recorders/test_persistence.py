"""Daybook's log as a PERSISTENCE_MODULE: plain applications run on it, wrong settings do not."""

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import InfrastructureFactory, InfrastructureFactoryError
from eventsourcing.utils import Environment

from event_store.recorders.persistence import DaybookFactory
from tests.event_store.given import rows

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "eventsourcing.md"


class Shelf(Aggregate):
    """An aggregate as the package's tutorial has them."""

    def __init__(self) -> None:
        self.books: list[str] = []

    @event("BookAdded")
    def add(self, book: str) -> None:
        self.books.append(book)


class Library(Application[UUID]):
    """An application of the package."""


def settings(database_url: str, **more: str) -> dict[str, str]:
    """Return the variables of an application on the log."""
    module = "event_store.recorders.persistence"
    return {"PERSISTENCE_MODULE": module, "DAYBOOK_DATABASE_URL": database_url, **more}


def test_an_application_keeps_its_aggregates_in_the_log(database_url: str) -> None:
    shelf = Shelf()
    with Library(env=settings(database_url)) as library:
        shelf.add("Emma")
        recordings = library.save(shelf)
        assert [recording.notification.id for recording in recordings] == [1, 2]
    with Library(env=settings(database_url)) as library:
        again: Shelf = library.repository.get(shelf.id)
        again.add("Persuasion")
        library.save(again)
        before: Shelf = library.repository.get(shelf.id, version=2)
        assert (before.books, again.books) == (["Emma"], ["Emma", "Persuasion"])
        assert [item.id for item in library.notification_log["1,10"].items] == [1, 2, 3]
    stored = rows(database_url, "select stream_type, name, data -> 'book' from events order by 1")
    assert stored[1:] == [
        (
            "eventsourcing:Library",
            "tests.event_store.recorders.test_persistence:Shelf.BookAdded",
            "Emma",
        ),
        (
            "eventsourcing:Library",
            "tests.event_store.recorders.test_persistence:Shelf.BookAdded",
            "Persuasion",
        ),
    ]


def test_an_application_may_read_the_whole_log(database_url: str) -> None:
    class Reader(Application[UUID]):
        """Writes nothing."""

    with Library(env=settings(database_url)) as library:
        library.save(Shelf())
    with Reader(env=settings(database_url)) as reader:
        assert reader.recorder.select_notifications(None, 9) == []
    with Reader(env=settings(database_url, READER_WHOLE_LOG="yes")) as reader:
        assert len(reader.recorder.select_notifications(None, 9)) == 1


@pytest.mark.parametrize("value", ["yes", "y", "1", "true", "on", "maybe"])
def test_the_mode_that_loses_events_is_refused(value: str) -> None:
    wrong = settings("postgresql://nowhere", POSTGRES_ENABLE_DB_FUNCTIONS=value)
    with pytest.raises(InfrastructureFactoryError, match="readers lose events"):
        Library(env=wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"DAYBOOK_DATABASE_URL": ""}, "Set DAYBOOK_DATABASE_URL"),
        ({"ORIGINATOR_ID_TYPE": "text"}, "UUIDs"),
        ({"IS_SNAPSHOTTING_ENABLED": "y"}, "keeps no snapshots: unset IS_SNAPSHOTTING_ENABLED"),
    ],
)
def test_what_the_log_cannot_serve_is_refused_in_words(
    database_url: str, wrong: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InfrastructureFactoryError, match=sentence):
        Library(env={**settings(database_url), **wrong})


def test_a_mode_that_is_off_is_no_trouble(database_url: str) -> None:
    for value in ("", "no", "0", "False"):
        Library(env=settings(database_url, POSTGRES_ENABLE_DB_FUNCTIONS=value)).close()


def test_the_module_is_found_by_its_name(database_url: str) -> None:
    environment = Environment("Library", settings(database_url))
    factory: InfrastructureFactory = InfrastructureFactory.construct(environment)
    assert type(factory) is DaybookFactory
    factory.close()


def test_the_guides_example_says_what_the_guide_says(database_url: str, tmp_path: Path) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    [program, said] = (
        re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)[0] for kind in ("python", "text")
    )
    (tmp_path / "shelves.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "shelves.py"],
        cwd=tmp_path,
        env={**os.environ, **settings(database_url), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stderr, done.stdout) == ("", said)
