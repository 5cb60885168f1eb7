"""What a process knows of the streams that its commands read: a cache that is never believed.

A state from here may be old, or may count on an append that is still under way. That is found out
when the command is appended: the log checks the version and who wrote it. What is not appended (a
refusal) is not checked there, so it is decided again on what the log holds: see `Work.unproven`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from commands.aggregates import Aggregate
from domain.personal import is_personal
from event_store.loader import Loaded, Wanted
from event_store.records import Snapshot, StoreUnavailable
from event_store.store import EventStore

MOST_STREAMS = 20_000
# A stream from which so many events had to be read gets a snapshot.
EVENTS_WORTH_A_SNAPSHOT = 200

log = structlog.get_logger(__name__)


class Known(msgspec.Struct, frozen=True):
    """A stream's state at a version; `tip` is the command that wrote that version, if any did.

    `under_way` is the append that has yet to make it so; `proven`: the log said so just now.
    """

    state: Any
    version: int
    tip: UUID | None
    under_way: "asyncio.Future[Any] | None" = None
    proven: bool = False


UNKNOWN = Known(None, 0, None)
# An id is of one kind for ever: who asks for another kind finds nothing, and nothing can change it.
OF_ANOTHER_KIND = Known(None, 0, None, proven=True)


class States:
    """The newest known states of this process, the least used forgotten first."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._known: OrderedDict[UUID, Known] = OrderedDict()
        self._snapshots: set[asyncio.Task[None]] = set()
        self._being_read: dict[UUID, asyncio.Future[None]] = {}

    async def read(
        self, kind: Aggregate[Any, Any], stream_ids: Sequence[UUID], *, proven: bool
    ) -> dict[UUID, Known]:
        """Return the states of some streams; `proven`: as the log has them now."""
        if not proven:
            await self._read_by_others(stream_ids)
        found: dict[UUID, Known] = {}
        missing: list[UUID] = []
        for stream_id in stream_ids:
            known = self._known.get(stream_id)
            if known is None or proven:
                missing.append(stream_id)
            else:
                self._known.move_to_end(stream_id)
                found[stream_id] = OF_ANOTHER_KIND if is_foreign(kind, known) else known
        if missing:
            found |= await self._read_for_all(kind, missing, proven=proven)
        return found

    async def _read_by_others(self, stream_ids: Sequence[UUID]) -> None:
        """Wait while others read streams that are wanted: a long one is read and folded once.

        Raises what befell them: whoever waits has no more time than they had.
        """
        for stream_id in stream_ids:
            while stream_id not in self._known and (reading := self._being_read.get(stream_id)):
                await asyncio.wait([reading])
                if error := reading.exception():
                    raise error

    async def _read_for_all(
        self, kind: Aggregate[Any, Any], stream_ids: list[UUID], *, proven: bool
    ) -> dict[UUID, Known]:
        """Read the log while others who want the same wait."""
        reading: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        first = [stream_id for stream_id in stream_ids if stream_id not in self._being_read]
        self._being_read |= dict.fromkeys(first, reading)
        try:
            return await self._read_log(kind, stream_ids, proven=proven)
        except Exception as error:
            reading.set_exception(error)
            reading.exception()  # or it would be called never retrieved where nobody waits
            raise
        finally:
            for stream_id in first:
                del self._being_read[stream_id]
            if not reading.done():
                reading.set_result(None)

    def foresee(self, stream_id: UUID, known: Known) -> None:
        """Take what a stream will be once an append under way has succeeded."""
        self._keep(stream_id, known)

    def forget(self, stream_ids: Iterable[UUID]) -> None:
        """Forget streams of which an append has shown that they are not as known."""
        for stream_id in stream_ids:
            self._known.pop(stream_id, None)

    async def _read_log(
        self, kind: Aggregate[Any, Any], stream_ids: list[UUID], *, proven: bool
    ) -> dict[UUID, Known]:
        bases = {stream_id: await self._settled(stream_id) for stream_id in stream_ids}
        loaded = await self._store.load_after(
            [Wanted(key, base.version, kind.fingerprint) for key, base in bases.items()]
        )
        found: dict[UUID, Known] = {}
        for (stream_id, base), news in zip(bases.items(), loaded, strict=True):
            if is_foreign(kind, base) or holds_others(kind, news):
                found[stream_id] = OF_ANOTHER_KIND
                continue
            known = folded(kind, base, news)
            self._consider_snapshot(kind, stream_id, known, len(news.events))
            present = self._known.get(stream_id)
            if present is None or present.version <= known.version:
                self._keep(stream_id, known)
            elif not proven:
                known = present  # somebody else here has gone on from it meanwhile
            found[stream_id] = msgspec.structs.replace(known, proven=True) if proven else known
        return found

    async def _settled(self, stream_id: UUID) -> Known:
        """Return what is known for certain: wait for the append that it counts on."""
        known = self._known.get(stream_id, UNKNOWN)
        while known.under_way is not None and not known.under_way.done():
            await asyncio.wait([known.under_way])
            known = self._known.get(stream_id, UNKNOWN)
        return known

    def _keep(self, stream_id: UUID, known: Known) -> None:
        self._known[stream_id] = known
        self._known.move_to_end(stream_id)
        if len(self._known) > MOST_STREAMS:
            self._known.popitem(last=False)

    def _consider_snapshot(
        self, kind: Aggregate[Any, Any], stream_id: UUID, known: Known, events: int
    ) -> None:
        if events < EVENTS_WORTH_A_SNAPSHOT or known.tip is None or is_personal(known.state):
            return  # nothing personal is kept in a second place
        state = msgspec.json.encode(known.state).decode()
        snapshot = Snapshot(stream_id, kind.fingerprint, known.version, known.tip, state)
        task = asyncio.create_task(self._write(snapshot), name="snapshot")
        self._snapshots.add(task)
        task.add_done_callback(self._snapshots.discard)

    async def _write(self, snapshot: Snapshot) -> None:
        try:
            await self._store.keep_snapshot(snapshot)
        except StoreUnavailable as error:
            log.warning("snapshot_not_kept", stream_id=str(snapshot.stream_id), error=str(error))


def is_foreign(kind: Aggregate[Any, Any], known: Known) -> bool:
    """Tell whether what is known of a stream is the state of another kind."""
    return known.state is not None and not isinstance(known.state, kind.state)


def holds_others(kind: Aggregate[Any, Any], news: Loaded) -> bool:
    """Tell whether what was read of a stream are events of another kind."""
    return bool(news.events) and not isinstance(news.events[0], kind.happened)


def folded(kind: Aggregate[Any, Any], base: Known, news: Loaded) -> Known:
    """Fold what was read onto what was known."""
    state = base.state if news.state is None else kind.decode(news.state)
    for event in news.events:
        state = kind.evolve(state, event)
    version = news.base + len(news.events)
    return Known(state, version, news.tip or base.tip)
