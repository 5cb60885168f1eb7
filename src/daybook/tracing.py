"""OpenTelemetry spans of requests, commands, appends and posted pages; made only where wanted.

Without DAYBOOK_TRACES_URL nothing here is loaded, so that it costs nothing.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from psycopg import Connection
from psycopg.rows import TupleRow

from api.request_context import context_of
from commands.execution import Execute, Handler
from commands.receipts import Receipt
from commands.work import Asker, Tools
from domain.refusal import Refusal
from event_store.privacy.keyring import Keyring
from event_store.records import Append, Appended, Repeated
from event_store.store import EventStore
from projections.posting.leases import Crew
from projections.posting.pages import Pages
from projections.projection import Projection

FAILED = 500
Post = Callable[[Connection[TupleRow], Projection, Crew, Pages], int]


def tracer_to(url: str, service: str) -> Tracer:
    """Return what makes spans and sends them to a collector, in batches from a thread."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider.get_tracer("daybook")


class Headers(Getter[Scope]):
    """Reads a request's headers."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        """Return the values of a header."""
        wanted = key.lower().encode()
        found = [value.decode("latin-1") for name, value in carrier["headers"] if name == wanted]
        return found or None

    def keys(self, carrier: Scope) -> list[str]:
        """Return the names of the headers."""
        return [name.decode("latin-1") for name, _ in carrier["headers"]]


HEADERS = Headers()


class Traced:
    """Makes a span of each request, in the trace that its `traceparent` names."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        """`app` is everything inside."""
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method, extract(scope, getter=HEADERS), SpanKind.SERVER
        ) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = str(scope.get("path_template") or "")
                    span.update_name(f"{method} {route}".strip())
                    span.set_attribute("http.request.method", method)
                    span.set_attribute("http.route", route)
                    span.set_attribute("http.response.status_code", message["status"])
                    span.set_attribute("daybook.request_id", context_of(scope).request_id)
                    if message["status"] >= FAILED:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            await self._app(scope, receive, noted)


def traced(execute: Execute, tracer: Tracer) -> Execute:
    """Return what carries out commands as `execute` does, each in a span."""

    async def execute_traced(
        tools: Tools, asker: Asker, handler: Handler[Any, Any], request: msgspec.Struct
    ) -> Receipt[Any]:
        name = type(request).__name__
        with tracer.start_as_current_span(
            f"command {name}", record_exception=False, set_status_on_exception=False
        ) as span:
            span.set_attribute("daybook.command", name)
            span.set_attribute("daybook.correlation_id", asker.correlation_id)
            span.set_attribute("daybook.actor_role", asker.role)
            try:
                receipt = await execute(tools, asker, handler, request)
            except Refusal as refusal:
                span.set_attribute("daybook.refused", refusal.code)
                raise
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            span.set_attribute("daybook.position", receipt.position)
            span.set_attribute("daybook.repeated", receipt.repeated)
            return receipt

    return execute_traced


class TracedStore(EventStore):
    """The log, with a span of each append: how long a command waited for it to be on disk."""

    def __init__(
        self,
        database_url: str,
        tracer: Tracer,
        *,
        keys: Keyring,
        on_append: Callable[[int], None],
    ) -> None:
        super().__init__(database_url, keys=keys, on_append=on_append)
        self._tracer = tracer

    async def append(self, command: Append) -> Appended | Repeated:
        """Append one command's effect: see `Appender.append`."""
        with self._tracer.start_as_current_span("append", record_exception=False) as span:
            span.set_attribute("daybook.events", sum(len(one.events) for one in command.changes))
            appended = await super().append(command)
            span.set_attribute("daybook.position", appended.position)
            return appended


def posting_traced(post: Post, tracer: Tracer) -> Post:
    """Return what posts as `post` does, in a span if there was something to post."""

    def post_traced(
        connection: Connection[TupleRow], projection: Projection, crew: Crew, pages: Pages
    ) -> int:
        span = tracer.start_span(f"post {projection.name}", kind=SpanKind.CONSUMER)
        try:
            posted = post(connection, projection, crew, pages)
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            span.end()
            raise
        if posted:  # a span that does not end is never sent
            span.set_attribute("daybook.projection", projection.name)
            span.set_attribute("daybook.posted", posted)
            position = min((one.position for one in crew.leases(projection)), default=pages.head)
            span.set_attribute("daybook.position", position)
            span.set_attribute("daybook.lag_events", max(0, pages.head - position))
            span.end()
        return posted

    return post_traced
