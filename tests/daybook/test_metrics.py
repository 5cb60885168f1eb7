"""What Prometheus is told: commands by outcome, requests by route, sums over processes, facts."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from litestar.params import FromPath
from litestar.testing import TestClient

from api.application import create_app
from api.guards import ANYONE
from api.metrics import is_local, metrics
from api.request_context import Context
from api.revocations import Revocations
from api.routes import route
from api.tokens import Tokens
from commands.execution import execute
from commands.products.withdraw_product import WithdrawProduct, withdraw_product
from daybook.facts import Facts
from daybook.metrics import Measured, Metrics, measured
from domain.refusal import NotFound
from event_store.records import StoreUnavailable
from projections.switched_on import PROJECTIONS
from tests.commands.given import STAFF, listed, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.projections.given import STORY, append, post


def value(text: bytes, line: str) -> float:
    """Return the value of one sample."""
    (found,) = [one for one in text.decode().splitlines() if one.startswith(f"{line} ")]
    return float(found.rpartition(" ")[2])


@on_a_loop
async def test_commands_are_counted_by_what_came_of_them(database_url: str) -> None:
    metrics = Metrics()
    run = measured(execute, metrics)
    async with working_on(database_url) as tools:
        request = WithdrawProduct(product_id=await listed(tools))
        await run(tools, STAFF, withdraw_product, request)
        with pytest.raises(NotFound):
            await run(tools, STAFF, withdraw_product, WithdrawProduct(product_id=uuid4()))
    text = metrics.rendered()
    for outcome in ("done", "NOT_FOUND"):
        labels = f'{{command="WithdrawProduct",outcome="{outcome}"}}'
        assert value(text, f"daybook_command_duration_seconds_count{labels}") == 1


@on_a_loop
async def test_a_command_that_found_no_database_is_counted_as_such() -> None:
    metrics = Metrics()

    async def away(*_: Any) -> Any:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await measured(away, metrics)(None, None, None, WithdrawProduct(product_id=uuid4()))
    labels = '{command="WithdrawProduct",outcome="UNAVAILABLE"}'
    assert value(metrics.rendered(), f"daybook_command_duration_seconds_count{labels}") == 1


@route("GET", "/things/{thing:str}", who=ANYONE, summary="A thing", tag="Test", credentials=False)
async def show_thing(thing: FromPath[UUID]) -> None:
    """Show nothing."""


def test_requests_are_counted_by_route_and_never_by_id() -> None:
    counting = Metrics()
    app = create_app(
        handlers=[show_thing],
        tokens=Tokens({"k": b"1" * 32}, "k"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
        around=[lambda inner: Measured(inner, counting)],
    )
    with TestClient(app) as client:
        for _ in range(3):
            client.get(f"/things/{uuid4()}")
            client.get(f"/nothing/{uuid4()}")
    text = counting.rendered()
    counted = "daybook_http_request_duration_seconds_count"
    thing = '{method="GET",route="/things/{thing}",status="200"}'
    assert value(text, f"{counted}{thing}") == 3
    assert value(text, f'{counted}{{method="GET",route="nowhere",status="404"}}') == 3


COUNTING = """
from daybook.metrics import Metrics
counting = Metrics()
counting.command("PlaceOrder", "done", 0.001)
counting.replayed()
counting.limited("default")("refused")
print(counting.rendered().decode())
"""


def test_the_processes_of_a_server_are_counted_together(tmp_path: Path) -> None:
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for processes in (1, 2):
        text = subprocess.run(
            [sys.executable, "-c", COUNTING], env=environ, check=True, capture_output=True
        ).stdout
        labels = '{command="PlaceOrder",outcome="done"}'
        assert value(text, f"daybook_command_duration_seconds_count{labels}") == processes
        assert value(text, "daybook_idempotent_replays_total") == processes
        labels = '{outcome="refused",policy="default"}'
        assert value(text, f"daybook_rate_limited_total{labels}") == processes


def test_facts_are_those_of_the_database(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select position from log_head").fetchone()
    before = row[0] if row else 0
    append(database_url, STORY)
    text = Metrics().rendered(Facts(database_url))
    assert value(text, "daybook_database_up") == 1
    assert value(text, "daybook_event_appends_total") == before + len(STORY)
    assert value(text, 'daybook_projection_lag_events{projection="orders"}') >= len(STORY)
    assert value(text, 'daybook_projection_lag_seconds{projection="orders"}') > 0
    assert value(text, 'daybook_dead_letters{kind="reaction",name="welcome_mail"}') == 0
    assert value(text, 'daybook_dead_letters{kind="projection",name="orders"}') == 0
    assert value(text, 'daybook_projection_paused{projection="orders"}') == 0
    assert value(text, "daybook_workers") == 0
    assert value(text, 'daybook_reaction_waiting{reaction="erasure"}') == 0
    with psycopg.connect(database_url) as connection:
        connection.execute("update reaction_checkpoints set failure = 'no' where name = 'erasure'")
    post(database_url, PROJECTIONS["orders"])
    text = Metrics().rendered(Facts(database_url))
    assert value(text, 'daybook_projection_lag_events{projection="orders"}') == 0
    assert value(text, 'daybook_projection_lag_seconds{projection="orders"}') == 0
    assert value(text, 'daybook_reaction_waiting{reaction="erasure"}') == 1
    assert value(text, 'daybook_reaction_waiting{reaction="welcome_mail"}') == 0


def test_a_database_that_is_away_is_a_fact_too() -> None:
    text = Metrics().rendered(Facts("postgresql://127.0.0.1:1/none"))
    assert value(text, "daybook_database_up") == 0
    assert b"daybook_projection_lag_events{" not in text


TOKEN = "a metrics token of thirty-two bytes"


def test_metrics_are_for_this_machine_or_for_who_has_the_token() -> None:
    app = create_app(
        handlers=[metrics(lambda: b"up 1\n", TOKEN)],
        tokens=Tokens({"k": b"1" * 32}, "k"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
    )
    with TestClient(app) as client:  # whose address is a name and not loopback
        assert client.get("/metrics").status_code == 401
        for given in ("Bearer no", f"Basic {TOKEN}", "Bearer "):
            assert client.get("/metrics", headers={"Authorization": given}).status_code == 401
        told = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (told.status_code, told.text) == (200, "up 1\n")
    assert told.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize(
    ("address", "header", "local"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("192.0.2.7", None, False),
        ("unknown", None, False),
        ("127.0.0.1", b"x-forwarded-for", False),
        ("127.0.0.1", b"forwarded", False),
    ],
)
def test_a_proxy_on_this_machine_is_not_this_machine(
    address: str, header: bytes | None, *, local: bool
) -> None:
    headers = {} if header is None else {header: b"192.0.2.7"}
    assert is_local(Context("r", "c", headers, address=address)) is local
