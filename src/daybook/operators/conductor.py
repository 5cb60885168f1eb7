"""The conductor: does what operators asked of projections, and says in the log what came of it.

The log is the list of what is to be done. Each request is carried out in one transaction with a
note of it, under a lease, so that it has its effect once, whoever dies or wakes up when; then its
end is appended, which another conductor does if this one is gone. Several of them do no harm.
"""

import asyncio
from collections.abc import Iterable
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from commands.execution import execute
from commands.projections.end_operation import EndOperation, end_operation
from commands.work import Asker, Tools
from daybook.operators.obeying import attempt, described, ending
from event_store.connections import LOST, connect
from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.oversight import operations
from projections.oversight.operations import Note, Operation
from projections.switched_on import PROJECTIONS

LOOK_SECONDS = 0.5
FAILED_SECONDS = 5.0
STATEMENT_MS = 600_000
MOST_ATTEMPTS = 30

log = structlog.get_logger(__name__)


class Conductor:
    """Does what is asked, one thing at a time, over a connection of its own."""

    def __init__(self, tools: Tools, database_url: str, keys: Keyring = NO_KEYS) -> None:
        """Append ends with `tools`; read personal fields with `keys`."""
        self._tools, self._database_url, self._keys = tools, database_url, keys
        self._connection: Connection[TupleRow] | None = None
        self._seen: dict[UUID, int] | None = None
        self._attempts: dict[UUID, int] = {}

    async def run(self) -> None:
        """Conduct for as long as the process lives."""
        try:
            pause = 0.0
            while True:
                await asyncio.sleep(pause)
                pause = await self._step_or_warn()
        finally:
            self.close()

    async def _step_or_warn(self) -> float:
        """Work once; return after how many seconds to look again."""
        try:
            await self.step()
        except LOST as error:
            log.warning("postgres_away", duty="conductor", error=str(error).strip())
            self.close()
        except Exception:
            log.exception("conductor_failed")
            self.close()
            return FAILED_SECONDS
        return LOOK_SECONDS

    async def step(self) -> int:
        """Carry out what can be carried out now; return how many requests have ended."""
        ends = await asyncio.to_thread(self._carry_out_all)
        for operation, note in ends:
            await self._end(operation, note)
        return len(ends)

    def close(self) -> None:
        """Hang up."""
        connection, self._connection, self._seen = self._connection, None, None
        if connection is not None:
            connection.close()

    def _carry_out_all(self) -> list[tuple[Operation, Note]]:
        connection = self._connected()
        seen = operations.versions(connection, PROJECTIONS)
        if seen == self._seen:
            return []
        found = operations.waiting(connection, PROJECTIONS)
        ends: list[tuple[Operation, Note]] = []
        for name in PROJECTIONS:
            ends += self._carry_out(connection, [one for one in found if of(one) == name])
        # While something waits there may be something to do without any news in the log.
        self._seen = None if found else seen
        return ends

    def _carry_out(
        self, connection: Connection[TupleRow], asked: Iterable[Operation]
    ) -> Iterable[tuple[Operation, Note]]:
        for operation in asked:
            note = self._carry_out_one(connection, operation)
            if note is None:
                return
            note = ending(connection, note)
            if note.outcome is not None:
                yield operation, note

    def _carry_out_one(self, connection: Connection[TupleRow], operation: Operation) -> Note | None:
        """Return what is noted of a request now; None if nothing could be done about it."""
        request = operation.request
        try:
            with connection.transaction():
                if not operations.lease(connection, request.projection):
                    return None
                note = operations.noted(connection, request.operation_id)
                if note is None:
                    note = attempt(connection, request, self._keys)
                    operations.note(connection, request, note)
        except LOST as error:
            if connection.closed or not self._is_hopeless(request.operation_id):
                raise
            note = Note(None, "failed", described(error))
            operations.note(connection, request, note)
        return note

    def _is_hopeless(self, operation_id: UUID) -> bool:
        """Tell whether the server has refused something too often, with locks or timeouts."""
        attempts = self._attempts[operation_id] = self._attempts.get(operation_id, 0) + 1
        return attempts >= MOST_ATTEMPTS

    async def _end(self, operation: Operation, note: Note) -> None:
        request = operation.request
        assert note.outcome is not None  # noqa: S101 - what goes on is not among the ends
        asker = Asker(
            actor_id="system",
            role="system",
            request_id=f"conductor-{operation.position}",
            correlation_id=operation.correlation_id,
            causation_id=operation.position,
        )
        command = EndOperation(
            projection=request.projection,
            operation_id=request.operation_id,
            outcome=note.outcome,
            detail=note.detail or "",
        )
        await execute(self._tools, asker, end_operation, command)
        log.info(
            "operation_ended",
            kind=type(request).__name__,
            projection=request.projection,
            outcome=note.outcome,
            detail=note.detail,
        )

    def _connected(self) -> Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._database_url, name="daybook conductor", statement_ms=STATEMENT_MS
            )
        return self._connection


def of(operation: Operation) -> str:
    """Return the projection that something is asked of."""
    return operation.request.projection
