"""Overload: of more commands than a process can be at, the last to come are refused at once."""

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from api.errors import AnyRequest, failure

# Four times what keeps both cores busy: the last one waits a fifth of a second. With half of it a
# crowd leaves fewer places to those that are taken, and health checks are hardly sooner answered.
MOST_UNDER_WAY = 512
READING = frozenset({"GET", "HEAD", "OPTIONS"})
QUESTIONS = "/graphql"  # posted, but they change nothing
SENTENCE = "Too many commands are under way: nothing was changed, try again in a moment."
COME_AGAIN = (b"retry-after", b"1")


class Unburdened:
    """Lets so many commands in and no more, so that those that are in are answered soon.

    Without a bound all of them wait: each for longer than its client does, and health checks too.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_UNDER_WAY) -> None:
        """`app` is everything inside."""
        self._app, self._most = app, most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if (
            scope["type"] != ScopeType.HTTP
            or scope["method"] in READING
            or scope["path"] == QUESTIONS
        ):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            request: AnyRequest = Request(scope)
            answer = failure(request, "UNAVAILABLE", SENTENCE, headers=[COME_AGAIN])
            await answer.to_asgi_response(request=request)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
