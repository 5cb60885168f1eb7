"""Verifying the log: each event is hashed again, and must lead to the stored tree and its heads."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.evidence.diagnosis import diagnose
from event_store.evidence.edge import Edge
from event_store.evidence.findings import (
    Finding,
    Verified,
    head_wrong,
    inserted,
    missing,
    rewritten,
    tree_damaged,
)
from event_store.evidence.growing import edge_at, size_of
from event_store.evidence.heads import head_in, newest_note, notes_between, root_at
from event_store.evidence.leaves import leaves
from event_store.evidence.merkle import complete_root
from event_store.evidence.notes import BadNote, Head, PublicKey, head_of
from event_store.evidence.tiles import HASH, HEIGHT, WIDTH, TileKey, TreeDamaged, cut, read_tiles

PAGE = 200 * WIDTH

ENDS = """
select h.position, (select max(position) from events), (select min(position) from events)
  from log_head h
"""
COUNT = "select count(*) from events where position > %s and position <= %s"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be verified: events from `first` to `last`, None: to the end of the tree.

    `start` is a head that was verified before; `published` are heads kept outside of Postgres.
    """

    trusted: Sequence[PublicKey]
    first: int = 1
    last: int | None = None
    start: Head | None = None
    published: Sequence[Head] = ()


class Verification:
    """One pass over the log; it ends with the first thing that is wrong."""

    def __init__(
        self, connection: Connection[TupleRow], asked: Asked, report: Callable[[int, int], None]
    ) -> None:
        """`report` is told the position reached and the one to reach."""
        self._connection, self._asked, self._report = connection, asked, report
        self.size = size_of(connection)
        begin = asked.start.size if asked.start else (asked.first - 1) // WIDTH * WIDTH
        last = self.size if asked.last is None else -(-asked.last // WIDTH) * WIDTH
        self.begin, self.end = min(begin, self.size), min(last, self.size)
        self.heads = 0
        self.note: str | None = None
        self._edge = Edge()
        self._good = self.begin
        self._suspect: tuple[int, int] | None = None

    def run(self) -> Finding | None:
        """Return the first thing that is wrong, None if all is well."""
        try:
            self._edge = edge_at(self._connection, self.begin)
        except TreeDamaged:
            return tree_or_events(self.begin)
        start = self._asked.start
        if start is not None and (self.size < start.size or self._edge.root() != start.root):
            cut = self.size < start.size
            return missing(self.size + 1) if cut else rewritten(1, start.size)
        for after in range(self.begin, self.end, PAGE):
            if found := self._page(after, min(after + PAGE, self.end)):
                return found
            self._report(min(after + PAGE, self.end), self.end)
        return self._upwards() or self._ends()

    def _page(self, after: int, upto: int) -> Finding | None:
        hashes = leaves(self._connection, after, upto)
        stored = self._stored_leaves(after, upto)
        if hashes != stored:
            if len(hashes) != len(stored) or self._is_signed(after, stored, hashes):
                return diagnose(self._connection, after, stored, hashes)
            self._suspect = self._suspect or (after + 1, upto)
        done = after
        full: dict[TileKey, bytes] = {}
        for head, note in self._heads(after, upto):
            full |= self._edge.add(hashes[done - after : head - after])
            done = head
            if found := self._head(head, note):
                return found
        full |= self._edge.add(hashes[done - after :])
        self._compare(full)
        return None

    def _stored_leaves(self, after: int, upto: int) -> list[bytes]:
        """Return the tree's hashes of events; zeros where it has none."""
        first = after // WIDTH
        keys = [(0, index) for index in range(first, -(-upto // WIDTH))]
        tiles = read_tiles(self._connection, keys)
        found = b"".join(tiles.get(key, b"").ljust(WIDTH * HASH, b"\0") for key in keys)
        return cut(found[(after - first * WIDTH) * HASH : (upto - first * WIDTH) * HASH])

    def _is_signed(self, after: int, stored: Sequence[bytes], hashes: Sequence[bytes]) -> bool:
        """Tell whether the tree's hash of the first event that differs leads to a signed root."""
        differs = next(at for at, one in enumerate(stored) if one != hashes[at])
        note = newest_note(self._connection)
        try:
            head = head_of(note or "", self._asked.trusted)
            return (
                path_holds(self._connection, after + differs, head.size)
                and root_at(self._connection, head.size) == head.root
            )
        except (BadNote, TreeDamaged):
            return False

    def _heads(self, after: int, upto: int) -> list[tuple[int, str | Head]]:
        kept = notes_between(self._connection, after, upto)
        published = [(one.size, one) for one in self._asked.published if after < one.size <= upto]
        # Of two heads of one size, what was published is not believed less.
        return sorted([*published, *kept], key=lambda one: one[0])

    def _head(self, size: int, note: str | Head) -> Finding | None:
        """Compare the tree of the events so far with a head of it."""
        try:
            head = note if isinstance(note, Head) else head_of(note, self._asked.trusted)
        except BadNote as bad:
            return head_wrong(size, str(bad))
        if head.size != size:
            return head_wrong(size, f"it states {head.size} events.")
        if head.root != self._edge.root():
            first, last = self._suspect or (self._good + 1, size)
            return rewritten(first, min(last, size))
        if self._suspect:
            return tree_damaged(*self._suspect)
        self.heads, self._good = self.heads + 1, size
        self.note = note if isinstance(note, str) else self.note
        return None

    def _compare(self, tiles: Mapping[TileKey, bytes]) -> None:
        """Compare tiles above the leaves with those that are stored, which may hold more."""
        above = {key: hashes for key, hashes in tiles.items() if key[0]}
        stored = read_tiles(self._connection, above)
        for (level, index), hashes in sorted(above.items()):
            if stored.get((level, index), b"")[: len(hashes)] != hashes and not self._suspect:
                width = WIDTH ** (level + 1)
                self._suspect = (index * width + 1, min((index + 1) * width, self.end))

    def _upwards(self) -> Finding | None:
        """Check what is above the events of this pass, up to the newest heads."""
        self._compare(self._edge.open_tiles())
        if self._suspect:
            return rewritten(*self._suspect)
        if self.end == self.begin:
            return None
        return self._under_published() or self._under_newest()

    def _under_published(self) -> Finding | None:
        """Check that a head of more than this pass, kept elsewhere, is over its events too."""
        published = [one for one in self._asked.published if self.end < one.size <= self.size]
        if published:
            head = max(published, key=lambda one: one.size)
            if not self._leads_to(head):
                return rewritten(self.begin + 1, head.size)
        return None

    def _under_newest(self) -> Finding | None:
        """Check the same of the newest head in the database."""
        note = newest_note(self._connection)
        if note is None or head_in(note).size <= self.end:
            return None
        try:
            head = head_of(note, self._asked.trusted)
        except BadNote as bad:
            return head_wrong(head_in(note).size, str(bad))
        if not self._leads_to(head):
            return rewritten(self.begin + 1, head.size)
        self.note = note
        return None

    def _leads_to(self, head: Head) -> bool:
        """Tell whether the events of this pass are among those that a later head signs."""
        ends = (self.begin, self.end - 1)
        try:
            holds = all(path_holds(self._connection, index, head.size) for index in ends)
            holds = holds and root_at(self._connection, head.size) == head.root
        except TreeDamaged:
            return False
        self.heads += holds
        return holds

    def _ends(self) -> Finding | None:
        """Look for what was cut off or put on at the ends of the log."""
        row = self._connection.execute(ENDS).fetchone()
        assert row is not None  # noqa: S101 - the migration makes the one row
        head, last, first = row[0], row[1] or 0, row[2]
        if first is not None and first < 1:
            return inserted(first)
        if self._asked.last is not None:
            return self._cut_off()
        if last < max(head, self.size):
            return missing(last + 1)
        if last > max(reading.head(self._connection), self.size):
            return inserted(head + 1)
        pending = self._connection.execute(COUNT, [self.size, head]).fetchone()
        if pending and pending[0] < head - self.size:
            return missing(self.size + 1)
        return self._cut_off()

    def _cut_off(self) -> Finding | None:
        """Say that the log ends before a head that is kept elsewhere, if one says so."""
        ahead = any(one.size > self.size for one in self._asked.published)
        return missing(self.size + 1) if ahead else None


def tree_or_events(upto: int) -> Finding:
    """Say that the stored tree does not even lead to where the pass is to begin."""
    return tree_damaged(1, upto)


def path_holds(connection: Connection[TupleRow], index: int, size: int) -> bool:
    """Tell whether the full tiles above a leaf hash to what the tiles above them hold."""
    levels = range(max(1, -(-max(size.bit_length(), 1) // HEIGHT)))
    keys = [(level, index >> (HEIGHT * (level + 1))) for level in levels]
    tiles = read_tiles(connection, keys)
    for (level, tile), above in pairwise(keys):
        if (tile + 1) * WIDTH ** (level + 1) > size:
            return True  # not full in this tree: its own hashes are what the root is made of
        entry = (tile % WIDTH) * HASH
        hashes = tiles.get((level, tile), b"")
        if len(hashes) != WIDTH * HASH:
            return False
        if complete_root(cut(hashes)) != tiles.get(above, b"")[entry : entry + HASH]:
            return False
    return True


def verify(
    connection: Connection[TupleRow], asked: Asked, report: Callable[[int, int], None]
) -> Verified:
    """Verify the log and return the first thing that is wrong, if anything is.

    A `TreeDamaged` never comes out: it is a finding. Heads by keys that are not trusted are, too.
    """
    one = Verification(connection, asked, report)
    finding = one.run()
    return Verified(
        first=one.begin + 1,
        last=one.end,
        events=one.end - one.begin,
        heads=one.heads,
        pending=max(0, reading.head(connection) - one.size),
        note=one.note,
        finding=finding,
    )
