"""What an API process counts about itself for Prometheus, shared with its siblings through files.

`PROMETHEUS_MULTIPROC_DIR` names the folder of the files; without it a process counts for itself.
Labels are commands, routes' templates and codes, never ids: their number is that of the program.
"""

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from commands.execution import Execute, Handler
from commands.receipts import Receipt, RememberedRefusal
from commands.work import Asker, Tools
from domain.refusal import Refusal
from event_store.records import StoreUnavailable

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NOWHERE = "nowhere"

Request = TypeVar("Request", bound=msgspec.Struct)
Observe = Callable[[float], None]


class Metrics:
    """The counters of a process, made once: a name can be taken only once in a process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._commands = Histogram(
            "daybook_command_duration_seconds",
            "How long commands took that came over HTTP, by what came of them.",
            ["command", "outcome"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._requests = Histogram(
            "daybook_http_request_duration_seconds",
            "How long requests took until their answer began.",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._replays = Counter(
            "daybook_idempotent_replays_total",
            "Commands that got the first answer under their idempotency key again.",
            registry=self._registry,
        )
        self._limited = Counter(
            "daybook_rate_limited_total",
            "Requests that were refused as too many, or counted without Redis (fallback).",
            ["policy", "outcome"],
            registry=self._registry,
        )
        # Finding a child by its labels costs more than counting: each is looked up here first.
        self._of_commands: dict[tuple[str, str], Observe] = {}
        self._of_requests: dict[tuple[str, str, int], Observe] = {}

    def command(self, name: str, outcome: str, seconds: float) -> None:
        """Count a command."""
        key = (name, outcome)
        observe = self._of_commands.get(key)
        if observe is None:
            observe = self._of_commands[key] = self._commands.labels(*key).observe
        observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = (method, route, status)
        observe = self._of_requests.get(key)
        if observe is None:
            observe = self._of_requests[key] = self._requests.labels(*key).observe
        observe(seconds)

    def replayed(self) -> None:
        """Count an answer that was given again."""
        self._replays.inc()

    def limited(self, policy: str) -> Callable[[str], None]:
        """Return what counts the requests that a rate limit refuses, or counts without Redis."""

        def told(outcome: str) -> None:
            self._limited.labels(policy, outcome).inc()

        return told

    def rendered(self, *facts: Collector) -> bytes:
        """Return what this process and its siblings have counted, and some facts."""
        registry = CollectorRegistry()
        if os.environ.get(FOLDER):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own
        else:
            registry.register(self._registry)
        for one in facts:
            registry.register(one)
        return generate_latest(registry)


def measured(execute: Execute, metrics: Metrics) -> Execute:
    """Return what carries out commands as `execute` does, and counts them."""

    async def execute_measured(
        tools: Tools, asker: Asker, handler: Handler[Any, Any], request: msgspec.Struct
    ) -> Receipt[Any]:
        name, began, outcome = type(request).__name__, time.perf_counter(), "failed"
        try:
            receipt = await execute(tools, asker, handler, request)
            outcome = "done"
            if receipt.repeated:
                metrics.replayed()
        except Refusal as refusal:
            outcome = refusal.code
            if isinstance(refusal, RememberedRefusal) and refusal.repeated:
                metrics.replayed()
            raise
        except StoreUnavailable:
            outcome = "UNAVAILABLE"
            raise
        finally:
            metrics.command(name, outcome, time.perf_counter() - began)
        return receipt

    return execute_measured


class Measured:
    """Counts requests by method, route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """`app` is everything inside."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        method = scope["method"] if scope["method"] in METHODS else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("path_template") or NOWHERE
                seconds = time.perf_counter() - began
                self._metrics.request(method, str(route), message["status"], seconds)
            await send(message)

        await self._app(scope, receive, counted)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
