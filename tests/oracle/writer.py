"""A writer process: clients that append through one appender, and retry as clients should."""

import asyncio
import logging
import os
import random
from multiprocessing import parent_process
from uuid import UUID

import structlog

from event_store.appender import Appender
from event_store.records import (
    Append,
    Appended,
    ClaimTaken,
    Repeated,
    StoreUnavailable,
    VersionConflict,
)
from tests.oracle.ledger import Ledger, Word
from tests.oracle.plan import Post
from tests.oracle.requests import Request, command_id, command_of, request_of

MOST_CONFLICTS = 30
AGAIN = 0.06  # part of the requests with a key that are sent again after they were answered


def write(post: Post) -> None:
    """Be a writer, until the board says that it is over."""
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)  # what the appender warns of is done on purpose here
    with Ledger(post.folder, post.number) as ledger:
        asyncio.run(Writer(post, ledger).run())


class Writer:
    """One incarnation of a writer: what it believes of the streams, and its clients."""

    def __init__(self, post: Post, ledger: Ledger) -> None:
        self._post, self._ledger = post, ledger
        self._appender = Appender(post.database_url, lambda _: None)
        self._versions: dict[UUID, int] = {}
        self._next, self._unsure = ledger.resume()

    async def run(self) -> None:
        """Let the clients work to the end."""
        watch = asyncio.create_task(end_with_parent())
        self._appender.start()
        await asyncio.gather(*(self._client() for _ in range(self._post.plan.clients)))
        await self._appender.close()
        watch.cancel()

    async def _client(self) -> None:
        while (request := self._take()) is not None:
            twins = [self._carry_out(request) for _ in range(request.repeats)]
            await asyncio.gather(*twins)
            if request.key and random.random() < AGAIN:  # noqa: S311 - a test's variety
                await self._carry_out(request)

    def _take(self) -> Request | None:
        if self._unsure:
            number = self._unsure.pop()
        elif self._post.board.closing:
            return None
        else:
            number, self._next = self._next, self._next + 1
        return request_of(self._post.plan, self._post.number, number)

    async def _carry_out(self, request: Request) -> None:
        """Ask until there is an answer; without a key an unsure one is not asked for again."""
        conflicts = 0
        while True:
            word = await self._attempt(request)
            if word == "unavailable" and request.key is not None:
                await asyncio.sleep(random.uniform(0.02, 0.2))  # noqa: S311 - jitter only
            elif word == "conflict" and not request.stale and conflicts < MOST_CONFLICTS:
                conflicts += 1
                await asyncio.sleep(random.uniform(0, 0.002 * conflicts))  # noqa: S311 - as above
            else:
                return

    async def _attempt(self, request: Request) -> Word:
        self._ledger.attempts[request.number] += 1
        attempt = self._ledger.attempts[request.number]
        asked = command_id(self._post.number, request.number, attempt)
        command = command_of(request, asked, self._versions)
        self._ledger.ask(asked, request)
        if not request.stale:
            self._foresee(command)
        answer: Appended | Repeated | None = None
        try:
            answer = await self._appender.append(command)
        except Exception as refusal:  # noqa: BLE001 - every refusal is written down
            return self._refused(asked, refusal)
        finally:
            if not isinstance(answer, Appended):
                self._take_back(command)
        return self._granted(asked, request, answer)

    def _foresee(self, command: Append) -> None:
        """Let the next ones count on this one, as Daybook's commands do."""
        for change in command.changes:
            self._versions[change.stream_id] = change.expected_version + len(change.events)

    def _take_back(self, command: Append) -> None:
        for change in command.changes:
            foreseen = change.expected_version + len(change.events)
            if self._versions.get(change.stream_id) == foreseen:
                self._versions[change.stream_id] = change.expected_version

    def _refused(self, asked: UUID, refusal: Exception) -> Word:
        word: Word = "failed"
        if isinstance(refusal, VersionConflict):
            self._versions[refusal.stream_id] = refusal.found
            word = "conflict"
        elif isinstance(refusal, ClaimTaken):
            word = "claimed"
        elif isinstance(refusal, StoreUnavailable):
            word = "unavailable"
        self._ledger.tell(asked, word)
        return word

    def _granted(self, asked: UUID, request: Request, answer: Appended | Repeated) -> Word:
        if isinstance(answer, Repeated):
            self._ledger.tell(asked, "repeated", answer.position, answer.answer)
            return "repeated"
        self._ledger.tell(asked, "appended", answer.position, str(asked))
        self._post.board.acknowledged[self._post.number] += request.events
        return "appended"


async def end_with_parent() -> None:
    """End this process when the run that it belongs to has died."""
    parent = parent_process()
    assert parent is not None
    while parent.is_alive():  # noqa: ASYNC110 - another process sets no event
        await asyncio.sleep(1)
    os._exit(1)
