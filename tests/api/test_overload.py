"""More commands than a process can be at."""

import asyncio
import json
from typing import Any

import pytest
from litestar import Request
from litestar.types import Receive, Scope, Send

from api.addresses import Addresses
from api.envelope import Answer
from api.overload import Unburdened
from api.request_context import InContext

Messages = list[dict[str, Any]]


class Slow:
    """An application whose answers wait for `go`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go.wait()
        if scope["path"] == "/broken":
            raise LookupError
        answer = Answer({"done": True}).to_asgi_response(request=Request(scope))
        await answer(scope, receive, send)


async def ask(app: InContext, method: str, path: str = "/") -> Messages:
    """Return what is sent back."""
    sent: Messages = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": method, "path": path, "headers": [], "state": {}}
    scope |= {"client": ("127.0.0.1", 1), "scheme": "http", "query_string": b""}
    await app(scope, None, send)
    return sent


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def crowd(
    method: str, path: str = "/", *, asked: str = "/"
) -> tuple[Messages, list[Messages | BaseException]]:
    """Return what a third request is answered while two are under way, and what those are."""
    slow = Slow()
    app = InContext(Unburdened(slow, most=2), Addresses())
    two = [asyncio.create_task(ask(app, "POST", path)) for _ in range(2)]
    await settle()
    third = asyncio.create_task(ask(app, method, asked))
    await settle()
    early = third.result() if third.done() else []
    slow.go.set()
    answers = await asyncio.gather(*two, third, return_exceptions=True)
    assert (await ask(app, "POST"))[0]["status"] == 200, "there is room again"
    return early, answers


def test_a_command_too_many_is_refused_at_once_with_a_time_to_come_again() -> None:
    early, answers = asyncio.run(crowd("POST"))

    assert early[0]["status"] == 503
    assert dict(early[0]["headers"])[b"retry-after"] == b"1"
    body = json.loads(early[1]["body"])
    assert body["error"]["code"] == "UNAVAILABLE"
    assert body["meta"]["requestId"]
    assert [one[0]["status"] for one in answers[:2] if isinstance(one, list)] == [200, 200]


@pytest.mark.parametrize(
    ("method", "asked"), [("GET", "/"), ("HEAD", "/"), ("OPTIONS", "/"), ("POST", "/graphql")]
)
def test_reading_is_never_refused_for_it(method: str, asked: str) -> None:
    early, answers = asyncio.run(crowd(method, asked=asked))

    assert early == []
    assert isinstance(answers[2], list)
    assert answers[2][0]["status"] == 200


def test_a_command_that_breaks_leaves_its_place() -> None:
    _, answers = asyncio.run(crowd("POST", "/broken"))

    assert all(isinstance(one, LookupError) for one in answers[:2])
