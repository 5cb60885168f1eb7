"""How a route is declared: who may call it, what it does, how it may be refused, for both sides."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.types import AnyCallable, ASGIApp

from api.camel_case import camel
from api.envelope import Answer, Failure
from api.errors import STATUSES
from api.guards import Who
from api.links import Links
from api.request import ApiRequest
from api.successes import described

if TYPE_CHECKING:
    from litestar._kwargs import KwargsModel

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

V1 = "/api/v1"
V2 = "/api/v2"
# Whoever watches Daybook asks often, from one address, and must be able to when all else is busy.
UNCOUNTED = frozenset({"/health/live", "/health/ready", "/metrics"})
SIGNED = ("UNAUTHENTICATED", "TOKEN_EXPIRED", "UNAVAILABLE")
NO_LINKS: Links = MappingProxyType({})
NO_ANSWERS: Mapping[int, ResponseSpec] = MappingProxyType({})
WITH_BODY = ("PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "VALIDATION_ERROR")


class Handler(HTTPRouteHandler):
    """A handler without what Litestar does around one for those who need it.

    Its dependencies wait for nothing and are provided one after the other: a group of tasks for
    them costs more than a read. Its answers know how they are sent.
    """

    def create_kwargs_model(self, path_parameters: dict[str, Any]) -> "KwargsModel":
        """Return what finds the arguments of the handler."""
        found = super().create_kwargs_model(path_parameters)
        every = [one for batch in found.dependency_batches for one in batch]
        providers = [(one.key, one.provide.dependency) for one in every]

        async def provide(values: dict[str, Any], connection: Any) -> None:
            for name, provider in providers:
                values[name] = provider(connection)

        if providers:
            found.extractors.append(provide)
        found.dependency_batches = []
        return found

    async def to_response(self, app: Litestar, data: Any, request: Any) -> ASGIApp:
        """Return what sends an answer."""
        if isinstance(data, Answer):
            return data.to_asgi_response(request=request)
        return await super().to_response(app, data, request)


def route(  # noqa: PLR0913 - what a client must know of a route, each by its name
    method: Method,
    path: str,
    *,
    who: Who,
    summary: str,
    tag: str,
    status: int = 200,
    refusals: Iterable[str] = (),
    credentials: bool = True,
    query: Collection[str] = (),
    answers: Mapping[int, ResponseSpec] = NO_ANSWERS,
    operation: type[Operation] = Operation,
    links: Links = NO_LINKS,
    succeeded: bool = False,
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a handler with its full path; `credentials` False: an access token is not looked at.

    `query` are parameters that the handler reads by itself; `answers` by status and `operation`
    document what its signature does not say; `links` are what can be done next with a success;
    `succeeded` says that version 2 answers otherwise.
    Nobody has to be told twice: permission, documentation and error answers come from here.
    """

    def declare(handle: AnyCallable) -> HTTPRouteHandler:
        codes = ["MALFORMED_REQUEST", "INTERNAL_ERROR", *refusals]
        codes += SIGNED if credentials else ()
        codes += () if path in UNCOUNTED else ("RATE_LIMITED",)
        codes += ("FORBIDDEN",) if who else ()
        is_command = method != "GET" and path.startswith(V1)
        codes += ("IDEMPOTENCY_KEY_REUSED",) if is_command and credentials else ()
        codes += WITH_BODY if "data" in handle.__annotations__ else ()
        declared = Handler(
            path,
            http_method=method,
            status_code=status,
            request_class=ApiRequest,
            summary=summary,
            description=inspect.getdoc(handle),
            response_description=None if status in answers else described(handle, status),
            tags=[tag],
            operation_id=camel(handle.__name__),
            responses={**answers, **documented(codes)},
            operation_class=operation,
            security=[{"bearer": []}] if who else [],
            opt={
                "who": who,
                "credentials": credentials,
                "declared": True,
                "query": query,
                "links": links,
                "succeeded": succeeded,
            },
        )
        return declared(handle)

    return declare


def options(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Return what answers OPTIONS, to be registered before the handlers themselves.

    Litestar's own names only the methods of the handler that was registered first for a path.
    """
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for handler in handlers:
        for path in handler.paths:
            methods[path] |= {str(method) for method in handler.http_methods}
    return [options_of(path, ", ".join(sorted(found))) for path, found in methods.items()]


def options_of(path: str, methods: str) -> HTTPRouteHandler:
    """Return what answers OPTIONS for a path."""

    def allowed() -> Answer[None]:
        return Answer(None, status=204, headers=[(b"allow", methods.encode())])

    declared = HTTPRouteHandler(
        path,
        http_method="OPTIONS",
        status_code=204,
        request_class=ApiRequest,
        include_in_schema=False,
        sync_to_thread=False,
    )
    return declared(allowed)


def documented(codes: Iterable[str]) -> dict[int, ResponseSpec]:
    """Return the error answers of a route by status, with the codes each may have."""
    by_status: defaultdict[int, set[str]] = defaultdict(set)
    for code in codes:
        by_status[STATUSES[code]].add(code)
    return {
        status: ResponseSpec(Failure, generate_examples=False, description=", ".join(sorted(names)))
        for status, names in sorted(by_status.items())
    }


def query_names(handler: Any) -> frozenset[str]:
    """Return the query parameters that a handler takes, by the names that clients use."""
    found = set(handler.opt.get("query", ()))
    for name, field in handler.parsed_fn_signature.parameters.items():
        parameter = field.kwarg_definition
        if getattr(parameter, "param_type", None) == "query":
            found.add(getattr(parameter, "name", None) or getattr(parameter, "query", None) or name)
    return frozenset(found)
