"""The system as somebody who asks: it gives commands from the threads of a worker."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.execution import TooMuchContention, execute
from commands.orders.cancel_order import CancelOrder, cancel_order
from commands.orders.forget_order import ForgetOrder, forget_order
from commands.passwords import Passwords
from commands.reactions.end_reaction_operation import EndReactionOperation, end_reaction_operation
from commands.work import Asker, Tools
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded, StoreUnavailable
from event_store.store import EventStore
from reactions.decisions import End
from reactions.reaction import Outage

ANSWER_SECONDS = 25.0
REASON = "It was not paid in time."

Answer = TypeVar("Answer")


class Overdue(msgspec.Struct, frozen=True):
    """An order whose time is up, the position of its `order.placed`, and that one's correlation."""

    order_id: UUID
    placed_position: int
    correlation_id: str


class SystemActor:
    """Commands run on an event loop in a thread of its own, so that they share group commits."""

    def __init__(self, database_url: str, keys: Keyring, on_append: Callable[[int], None]) -> None:
        """`on_append` is told the newest position after each append, on the loop's thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="system actor", daemon=True
        )
        self._tools = Tools(EventStore(database_url, keys=keys, on_append=on_append), Passwords())

    def open(self) -> None:
        """Start; Postgres may be away."""
        self._thread.start()
        self._answer_of(self._tools.store.open())

    def close(self) -> None:
        """Append what is waiting, then stop."""
        try:
            self._answer_of(self._tools.store.close())
        finally:
            self._tools.passwords.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def cancel_unpaid(self, orders: Sequence[Overdue]) -> list[BaseException | None]:
        """Cancel those of some orders that still wait for payment, all at once.

        Returns what came of each one: None, or the error. Raises `TimeoutError` when it takes
        longer than a transaction may wait.
        """
        return self._answer_of(self._cancel_all(orders))

    async def _cancel_all(self, orders: Sequence[Overdue]) -> list[BaseException | None]:
        asked = (cancel_if_unpaid(self._tools, order) for order in orders)
        return await asyncio.gather(*asked, return_exceptions=True)

    def forget_orders(
        self, orders: Sequence[UUID], because: Recorded
    ) -> list[BaseException | None]:
        """Forget what some orders say of a buyer who is forgotten, all at once.

        Returns what came of each one: None, or the error. Raises `TimeoutError` as above.
        """
        return self._answer_of(self._forget_all(orders, because))

    async def _forget_all(
        self, orders: Sequence[UUID], because: Recorded
    ) -> list[BaseException | None]:
        request_id = f"erasure-{because.position}"
        asker = Asker(
            actor_id="system",
            role="system",
            request_id=request_id,
            correlation_id=request_id,
            causation_id=because.position,
        )
        asked = (
            execute(self._tools, asker, forget_order, ForgetOrder(order_id=order))
            for order in orders
        )
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        return [one if isinstance(one, BaseException) else None for one in outcomes]

    def say_end(self, end: End) -> None:
        """Say in the log what came of an operator's decision; `Outage` if that cannot be now."""
        try:
            self._answer_of(self._say_end(end))
        except (StoreUnavailable, TooMuchContention, TimeoutError) as error:
            raise Outage(str(error) or type(error).__name__) from error

    async def _say_end(self, end: End) -> None:
        asker = Asker(
            actor_id="system",
            role="system",
            request_id=f"decision-{end.request}",
            correlation_id=end.correlation_id,
            causation_id=end.request,
        )
        request = EndReactionOperation(
            reaction=end.reaction, request=end.request, outcome=end.outcome, detail=end.detail
        )
        await execute(self._tools, asker, end_reaction_operation, request)

    def _answer_of(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError:
            future.cancel()
            raise


async def cancel_if_unpaid(tools: Tools, overdue: Overdue) -> None:
    """Cancel an order as nobody has paid it. Raises what `execute` raises.

    A paid order could be cancelled too, so the command is bound to the version that was looked at:
    a payment of the last moment makes it `PreconditionFailed`.
    """
    events: list[Any] = await tools.store.load(overdue.order_id)
    order = ORDER.fold(events)
    if order is None or order.status != "placed":
        return
    asker = Asker(
        actor_id="system",
        role="system",
        request_id=f"payment-deadline-{overdue.placed_position}",
        correlation_id=overdue.correlation_id,
        causation_id=overdue.placed_position,
        if_match=len(events),
    )
    request = CancelOrder(order_id=overdue.order_id, reason=REASON)
    await execute(tools, asker, cancel_order, request)
