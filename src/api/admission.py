"""The one check before a handler runs: who asks, may they, are the parameters known."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from urllib.parse import parse_qsl

from litestar.handlers import HTTPRouteHandler

from api.authentication import Authentication
from api.errors import AnyRequest, MalformedRequest
from api.guards import check
from api.request_context import context_of
from api.routes import query_names
from domain.refusal import Detail

MOST_PARAMETERS = 100


def admission(authentication: Authentication) -> Callable[[AnyRequest], Awaitable[None]]:
    """Return what runs before every handler."""

    async def admit(request: AnyRequest) -> None:
        handler = request.scope["route_handler"]
        options = handler.opt
        context = context_of(request.scope)
        if context.doubtful:
            raise MalformedRequest(context.doubtful)
        if "declared" not in options:
            return  # OPTIONS and the documentation's pages
        if options["credentials"]:
            context.caller = authentication.caller_of(context)
            check(options["who"], context.caller)
        if query := request.scope["query_string"]:
            check_query(query, known(handler))

    return admit


@lru_cache(512)
def known(handler: HTTPRouteHandler) -> frozenset[str]:
    """Return the query parameters that a handler takes."""
    return query_names(handler)


def check_query(query: bytes, names: frozenset[str]) -> None:
    """Refuse parameters that the handler does not know, or that come twice."""
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise MalformedRequest("There are too many query parameters.") from None
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in names and not (name.startswith("data.") and "data.*" in names):
            listed = ", ".join(sorted(names)) or "none"
            message = f"There is no such query parameter; known here: {listed}."
            raise MalformedRequest(None, Detail(name, message))
        if name in seen:
            raise MalformedRequest(None, Detail(name, "This query parameter is given twice."))
        seen.add(name)
