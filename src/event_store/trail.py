"""The trail of a process that answers auditors: the log's evidence, and the end of every wait."""

from datetime import datetime
from uuid import UUID

import msgspec

from event_store import reading
from event_store.connections import Pooled, borrowed, pool
from event_store.evidence import access_chain, heads, proofs
from event_store.history import accesses, search
from event_store.history.accesses import Access, Accesses, Noted
from event_store.history.differences import Change, changes, known_upto
from event_store.history.entries import Entry
from event_store.history.passed import head_if_passed
from event_store.history.questions import Question
from event_store.history.surroundings import Surroundings, Trace, surroundings, trace
from event_store.records import Recorded
from event_store.sign_in_records import SignIn, SignInQuery, sign_ins_async


class Trail(Pooled):
    """Answers auditors; everything raises `StoreUnavailable` within 5 seconds.

    Entered, it has a pool of connections; Postgres may be away then and come later.
    """

    def __init__(
        self, database_url: str, *, readers: int = 2, seeds: tuple[bytes, ...] = ()
    ) -> None:
        """`seeds` are the private keys that sign proofs of exports."""
        self.seeds = seeds
        super().__init__(pool(database_url, name="daybook audit", size=readers))

    async def newest_head(self) -> str | None:
        """Return the newest signed head, None while there is none."""
        async with borrowed(self._pool) as connection:
            return await heads.newest_note_async(connection)

    async def newest_access_head(self) -> str | None:
        """Return the newest signed end of the records of accesses, None while there is none."""
        async with borrowed(self._pool) as connection:
            return await access_chain.newest_access_note_async(connection)

    async def public_keys(self) -> list[str]:
        """Return the keys that have signed heads."""
        async with borrowed(self._pool) as connection:
            return await heads.keys_async(connection)

    async def inclusion(self, position: int, access: Access) -> proofs.InclusionProof | None:
        """Prove that an event is in the log: see `inclusion_proof`; that is recorded."""
        async with borrowed(self._pool) as connection:
            found = await proofs.inclusion_proof(connection, position)
            await accesses.note_async(connection, access, int(found is not None))
            return found

    async def sign_ins(self, asked: SignInQuery, access: Access) -> tuple[list[SignIn], bool]:
        """Return records of sign-ins, and whether there are more; that is recorded."""
        async with borrowed(self._pool) as connection:
            found, more = await sign_ins_async(connection, asked)
            await accesses.note_async(connection, access, len(found))
            return found, more

    async def consistency(
        self, first: int, second: int, access: Access
    ) -> proofs.ConsistencyProof | None:
        """Prove that one signed log continues another: see `consistency_proof`; recorded."""
        async with borrowed(self._pool) as connection:
            found = await proofs.consistency_proof(connection, first, second)
            await accesses.note_async(connection, access, int(found is not None))
            return found

    async def events(
        self, question: Question, limit: int, access: Access
    ) -> tuple[list[Entry], bool]:
        """Return the first events asked for, in its order, and whether there are more; recorded."""
        async with borrowed(self._pool) as connection:
            found = await search.find(connection, question, limit + 1)
            await accesses.note_async(connection, access, len(found[:limit]))
            return found[:limit], len(found) > limit

    async def changes(
        self, stream_id: UUID, after: int, limit: int, access: Access
    ) -> tuple[list[Change], bool]:
        """Return what events of a stream changed, those after a position, the oldest first.

        And whether there are more; that is recorded.
        """
        positions = (after + 1, None)
        question = Question(stream_id=stream_id, positions=positions, descending=False)
        async with borrowed(self._pool) as connection:
            found = await search.find(connection, question, limit + 1)
            before = await known_upto(connection, stream_id, after) if after else {}
            await accesses.note_async(connection, access, len(found[:limit]))
        return list(changes(found[:limit], before)), len(found) > limit

    async def trace(self, facts: dict[str, str], most: int, access: Access) -> Trace:
        """Return the events with some facts, with the sessions of who asked for them; recorded."""
        async with borrowed(self._pool) as connection:
            found = await trace(connection, Question(facts=facts, descending=False), most)
            await accesses.note_async(connection, access, len(found.events))
            return found

    async def around(self, position: int, most: int, access: Access) -> Surroundings | None:
        """Return an event with what caused it, what it caused, and its request's; recorded."""
        async with borrowed(self._pool) as connection:
            found = await surroundings(connection, position, most)
            await accesses.note_async(connection, access, 0 if found is None else found.rows)
            return found

    async def accesses(self, asked: Accesses, access: Access) -> tuple[list[Noted], bool]:
        """Return who asked what, the newest first, and whether there is more; recorded too."""
        one_more = msgspec.structs.replace(asked, limit=asked.limit + 1)
        async with borrowed(self._pool) as connection:
            found = await accesses.noted(connection, one_more)
            given = found[: asked.limit]
            await accesses.note_async(connection, access, len(given))
            return given, len(found) > len(given)

    async def stream_as_of(
        self, stream_id: UUID, end: int | datetime, access: Access, *, happened: bool
    ) -> list[Recorded]:
        """Return the events of a stream up to a position or moment, sealed; that is recorded.

        Raises `NotYet`.
        """
        async with borrowed(self._pool) as connection:
            await head_if_passed(connection, end)
            found = await reading.stream_as_of(connection, stream_id, end, happened=happened)
            await accesses.note_async(connection, access, len(found))
            return found

    async def note(self, access: Access, rows: int) -> None:
        """Record what somebody asked and how many rows were given."""
        async with borrowed(self._pool) as connection:
            await accesses.note_async(connection, access, rows)
