"""A notary that is killed between any two lines leaves tree, heads, chain and index whole."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from daybook import notary
from daybook.keys import secret_files
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
from event_store.history import postings, volumes
from event_store.history.accesses import Access, note
from event_store.history.postings import index_blocks
from tests.event_store.evidence.given import NOW, SEED, Lent, found, signer_of
from tests.event_store.given import noting, rows
from tests.killing import killed_at_each_line
from tests.stories.running import wait_until

NOTARY = (notary, secret_files, growing, heads, access_chain)


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
        assert not [*folder.rglob(".*")]  # what the dead had half written
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


INDEX = """
select bucket, array[block], array[length(places)], places from history_postings
union all select bucket, blocks, lengths, places from history_volumes order by 1, 2
"""
WHERE = "select blocks, volumes from history_index"
COUNTS = """
with sizes as (select %s::int as block, %s::int as volume, %s::int as stretch)
select (select count(*) from events) / block, (select count(*) from events) / volume,
       (select count(*) from history_stretches) * stretch / block,
       (select count(distinct volume) from history_volumes),
       (select count(*) from history_postings, history_index
         where history_postings.block < volumes * volume / sizes.block)
  from sizes
"""


def test_an_indexer_killed_between_any_two_lines(
    database_url: str, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, bound, stretch = 4, 2, 2
    sizes = [size, size * bound, stretch]
    monkeypatch.setattr(postings, "BLOCK", size)
    monkeypatch.setattr(postings, "STRETCH", stretch)
    monkeypatch.setattr(volumes, "VOLUME", bound)

    def act() -> None:
        with connect(database_url, name="killed") as connection:
            index_blocks(connection)

    def after() -> None:
        wait_for_its_end(lent)
        while index_blocks(lent):
            pass
        blocks, whole, *there = rows(database_url, COUNTS, *sizes)[0]
        assert rows(database_url, WHERE) == [(blocks, whole)]
        assert there == [blocks, whole, 0]

    before = lambda: append(lent, size * bound)  # noqa: E731 - said once
    assert killed_at_each_line(act, [postings, volumes], before=before, after=after) > 20
    kept = rows(database_url, INDEX)
    lent.execute("truncate history_postings, history_volumes, history_stretches")
    lent.execute("update history_index set blocks = 0, volumes = 0")
    after()
    assert rows(database_url, INDEX) == kept
