"""Spans tell the road of a request: who asked, the command, the append, the page that posted it."""

import gzip
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from uuid import uuid4

import pytest
from litestar.params import FromPath
from litestar.testing import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from api.application import create_app
from api.guards import ANYONE
from api.request import ApiRequest
from api.revocations import Revocations
from api.routes import route
from api.tokens import Tokens
from commands.execution import execute
from commands.passwords import Passwords
from commands.products.list_product import list_product
from commands.products.withdraw_product import WithdrawProduct, withdraw_product
from commands.work import Tools
from daybook.metrics import Metrics
from daybook.observation import observed, posting
from daybook.settings import Settings
from daybook.tracing import Traced, TracedStore, posting_traced, traced
from domain.refusal import NotFound
from event_store.connections import connect
from projections.posting.engine import post_held
from projections.posting.leases import joined
from projections.posting.pages import Pages
from projections.switched_on import PROJECTIONS
from tests.commands.given import STAFF
from tests.commands.test_products import listing
from tests.daybook.receiving import Receiving, receiving
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import keyring
from tests.stories.running import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider.get_tracer("test")
    provider.shutdown()


def test_a_request_goes_on_with_the_trace_of_its_caller(
    tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    seen: list[str] = []

    @route("GET", "/things/{thing:str}", who=ANYONE, summary="A thing", tag="Test")
    async def show_thing(request: ApiRequest, thing: FromPath[str]) -> None:  # noqa: ARG001 - in the path
        seen.append(request.context.correlation_id)

    app = create_app(
        handlers=[show_thing],
        tokens=Tokens({"k": b"1" * 32}, "k"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
        around=[lambda inner: Traced(inner, tracer)],
    )
    with TestClient(app) as client:
        client.get(f"/things/{uuid4()}", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    (span,) = spans.get_finished_spans()
    assert span.name == "GET /things/{thing}"
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 200
    assert seen == [TRACE]


class Collector(ThreadingHTTPServer):
    """Takes spans as a collector does (OTLP over HTTP), and knows whose they are."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Export)
        self.spans: set[tuple[str, str]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Export(Receiving):
    """One export of spans."""

    server: Collector

    def receive(self, body: bytes) -> int:
        """Take them."""
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        for of in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in of.resource.attributes}
            for scope in of.scope_spans:
                self.server.spans |= {(names["service.name"], span.name) for span in scope.spans}
        return 200


@pytest.fixture
def collector() -> Iterator[Collector]:
    with receiving(Collector()) as server:
        yield server


@route("GET", "/nothing", who=ANYONE, summary="Nothing", tag="Test")
async def show_nothing() -> None:
    """Show nothing."""


@on_a_loop
async def test_spans_arrive_at_the_collector_that_the_settings_name(
    collector: Collector, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    settings = Settings(traces_url=f"{collector.url}/")
    observation, post = observed(settings, Metrics()), posting(settings)
    app = create_app(
        handlers=[show_nothing],
        tokens=Tokens({"k": b"1" * 32}, "k"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
        around=observation.layers,
    )
    with TestClient(app) as client:
        client.get("/nothing")
    store = observation.store(database_url, keyring(), lambda _: None)
    passwords = Passwords()
    await store.open()
    try:
        await observation.execute(Tools(store, passwords), STAFF, list_product, listing("TEA-2"))
    finally:
        await store.close()
        passwords.close()
    products = PROJECTIONS["products"]
    with connect(database_url, name="test") as connection, joined(connection, [products]) as crew:
        assert post(connection, products, crew, Pages([products])) > 0
    api = {("daybook-api", name) for name in ("GET /nothing", "command ListProduct", "append")}
    wait_until(lambda: collector.spans == {*api, ("daybook-worker", "post products")}, 10)


@on_a_loop
async def test_a_command_its_append_and_its_posting_are_spans(
    tracer: Tracer, spans: InMemorySpanExporter, database_url: str
) -> None:
    store = TracedStore(database_url, tracer, keys=keyring(), on_append=lambda _: None)
    passwords = Passwords()
    tools, run = Tools(store, passwords), traced(execute, tracer)
    await store.open()
    try:
        await run(tools, STAFF, list_product, listing("TEA-1"))
        with pytest.raises(NotFound):
            await run(tools, STAFF, withdraw_product, WithdrawProduct(product_id=uuid4()))
    finally:
        await store.close()
        passwords.close()
    post = posting_traced(post_held, tracer)
    products = PROJECTIONS["products"]
    with connect(database_url, name="test") as connection, joined(connection, [products]) as crew:
        pages = Pages([products])
        assert [post(connection, products, crew, pages) for _ in range(2)] == [1, 0]
    append, listed, refused, posted = spans.get_finished_spans()
    assert (append.name, listed.name, posted.name) == (
        "append",
        "command ListProduct",
        "post products",
    )
    assert append.parent is not None
    assert listed.context is not None
    assert append.parent.span_id == listed.context.span_id
    assert dict(append.attributes or {}) == {"daybook.events": 1, "daybook.position": 1}
    assert (refused.attributes or {})["daybook.refused"] == "NOT_FOUND"
    assert not refused.events  # a refusal is no exception
    assert dict(posted.attributes or {}) == {
        "daybook.projection": "products",
        "daybook.posted": 1,
        "daybook.position": 1,
        "daybook.lag_events": 0,
    }
