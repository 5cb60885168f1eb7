"""A notary that is killed between any two lines leaves tree, heads, chain and index whole."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from daybook import notary
from daybook.notary import attest, folder_of, known_keys
from event_store.append_sql import CALL, arguments
from event_store.connections import connect
from event_store.evidence import access_chain, growing, heads
from event_store.evidence.access_chain import (
    newest_access_note,
    trusted_for_accesses,
    verify_accesses,
)
from event_store.evidence.heads import newest_note
from event_store.evidence.notes import Signer, head_of
from event_store.history import postings
from event_store.history.accesses import Access, note
from event_store.history.postings import index_block
from tests.event_store.evidence.given import NOW, SEED, Lent, found, signer_of
from tests.event_store.given import noting, rows
from tests.killing import killed_at_each_line
from tests.stories.running import wait_until

NOTARY = (notary, growing, heads, access_chain)


@pytest.fixture
def lent(database_url: str) -> Iterator[Lent]:
    with connect(database_url, name="test") as connection:
        yield connection


def test_a_notary_killed_between_any_two_lines(
    database_url: str, lent: Lent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nobody cuts the machine's power here
    seeds = [SEED]

    def before() -> None:
        append(lent)
        # Another key each time, so that each has its own to publish.
        seeds[1:] = [uuid4().bytes * 2]

    def act() -> None:
        with connect(database_url, name="killed") as connection:
            attest(connection, tuple(seeds), tmp_path, NOW)

    def after() -> None:
        wait_for_its_end(lent)
        attest(lent, tuple(seeds), tmp_path, NOW)
        signer = signer_of(lent)
        folder = folder_of(tmp_path, signer.public.name)
        assert (folder / "head.note").read_text() == newest_note(lent)
        assert (folder / "accesses.note").read_text() == newest_access_note(lent)
        head = head_of((folder / "head.note").read_text(), [signer.public])
        assert found(lent, head) is None
        keys = [signer.public]
        end = head_of((folder / "accesses.note").read_text(), trusted_for_accesses(keys))
        assert verify_accesses(lent, keys, [end]) == (end.size, None)
        assert Signer(signer.public.name, seeds[1]).public in known_keys(folder)

    assert killed_at_each_line(act, NOTARY, before=before, after=after) > 50


def append(lent: Lent, events: int = 1) -> None:
    """Append events, and let somebody ask something."""
    lent.execute(CALL, arguments([noting(uuid4()) for _ in range(events)]))
    note(lent, Access("auditor-7", "auditor", "r-1", "events", {}), 1)


def wait_for_its_end(lent: Lent) -> None:
    """Wait until the server has heard that a process is dead, and has let go of what it locked."""
    there = "select count(*) from pg_stat_activity where application_name = 'killed'"
    wait_until(lambda: lent.execute(there).fetchone() == (0,), 30)


POSTINGS = "select bucket, block, places from history_postings order by 1, 2"


def test_an_indexer_killed_between_any_two_lines(
    database_url: str, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 4
    monkeypatch.setattr(postings, "BLOCK", size)

    def act() -> None:
        with connect(database_url, name="killed") as connection:
            index_block(connection)

    def after() -> None:
        wait_for_its_end(lent)
        while index_block(lent):
            pass
        expected = lent.execute("select count(*) / %s from events", [size]).fetchone()
        assert lent.execute("select blocks from history_index").fetchone() == expected
        blocks = "select count(*), coalesce(max(block), -1) + 1 from history_blocks"
        assert lent.execute(blocks).fetchone() == (expected or (0,)) * 2

    before = lambda: append(lent, size)  # noqa: E731 - said once
    assert killed_at_each_line(act, [postings], before=before, after=after) > 15
    kept = rows(database_url, POSTINGS)
    lent.execute("truncate history_postings, history_blocks")
    lent.execute("update history_index set blocks = 0")
    after()
    assert rows(database_url, POSTINGS) == kept
