"""History over HTTP: every question finds what it should, and every asker is recorded."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from event_store.connections import connect
from event_store.evidence.growing import grow
from event_store.evidence.heads import head_in, origin_of, sign
from event_store.evidence.notes import Signer
from event_store.history.accesses import Access
from event_store.history.postings import index_block
from event_store.history.surroundings import Trace
from event_store.trail import Trail
from tests.api.conftest import (
    Client,
    Json,
    Person,
    data_of,
    list_product,
    place_order,
    refused,
    register,
)
from tests.api.permissions import VIEWS
from tests.api.read.conftest import Make, Post
from tests.api.read.test_http import STREAMS, filled

FACTS = (
    "streamId",
    "streamType",
    "name",
    "actorId",
    "actorRole",
    "command",
    "requestId",
    "correlationId",
)


@pytest.fixture(scope="module")
def order(customer: Person, staff: Person) -> str:
    found = place_order(customer, list_product(staff, amount="12.75"), quantity=3)
    staff.ask(
        "POST",
        f"/orders/{found}/payment",
        {"reference": "PAY-7", "amount": {"amount": "38.25", "currency": "GBP"}},
    )
    return found


def events(person: Person, query: str) -> list[Json]:
    found: list[Json] = person.ask("GET", f"/audit/events?{query}").json()["data"]
    return found


def newest(auditor: Person, order: str) -> Json:
    return events(auditor, f"streamId={order}&limit=1")[0]


@pytest.mark.parametrize("fact", FACTS)
def test_events_are_found_by_each_column(auditor: Person, order: str, fact: str) -> None:
    paid = newest(auditor, order)
    found = events(auditor, f"{fact}={paid[fact]}&limit=100")
    assert paid in found
    assert {one[fact] for one in found} == {paid[fact]}


def test_events_are_found_by_values_inside(auditor: Person, order: str, customer: Person) -> None:
    for query in (
        "data.reference=PAY-7",
        "data.amount.amount=38.25",
        "data.reference=PAY-7&name=order.paid",
    ):
        assert [one["streamId"] for one in events(auditor, query)] == [order]
    placed = events(auditor, f"data.lines.quantity=3&streamId={order}")
    assert [one["name"] for one in placed] == ["order.placed"]
    assert events(auditor, "data.reference=PAY-8") == []
    assert events(auditor, "data.reference=PAY-7&name=order.placed") == []
    assert events(auditor, "data.reference=%22%29%20or%20true") == []
    about = {one["name"] for one in events(auditor, f"subject={customer.id}&limit=100")}
    assert {"user.registered", "session.started", "order.placed"} <= about


def test_pages_go_on_where_they_ended_in_either_direction(auditor: Person, order: str) -> None:
    whole = [one["position"] for one in events(auditor, "sortOrder=asc&limit=100")]
    for order_, expected in (("asc", whole), ("desc", whole[::-1])):
        seen: list[int] = []
        cursor = ""
        while True:
            query = f"/audit/events?sortOrder={order_}&limit=3&positionTo={whole[-1]}{cursor}"
            answer = auditor.ask("GET", query).json()
            seen += [one["position"] for one in answer["data"]]
            if answer["pagination"]["next"] is None:
                break
            cursor = f"&cursor={answer['pagination']['next']}"
        assert seen == expected
    assert order


def test_times_and_positions_bound_a_list(auditor: Person, order: str) -> None:
    paid = newest(auditor, order)
    moment, place = paid["recordedAt"].replace("+", "%2B"), paid["position"]
    for name in ("occurred", "recorded"):
        for end, there in (("From", True), ("To", False)):
            found = events(auditor, f"{name}{end}={moment}&limit=100")
            assert (place in {one["position"] for one in found}) == there
    found = events(auditor, f"positionFrom={place}&positionTo={place}")
    assert [one["position"] for one in found] == [place]


def test_an_event_is_shown_with_its_neighbours(auditor: Person, order: str) -> None:
    placed = events(auditor, f"streamId={order}&name=order.placed")[0]
    found = data_of(auditor.ask("GET", f"/audit/events/{placed['position']}"))
    assert found["event"] == placed
    assert [one["name"] for one in found["request"]] == ["product.stock_reserved"]
    assert (found["cause"], found["caused"]) == (None, [])
    for wrong in ("0", "999999", "x", "-1"):
        refused(auditor.ask("GET", f"/audit/events/{wrong}"), 404, "NOT_FOUND")


def test_a_stream_is_shown_as_what_changed(auditor: Person, staff: Person) -> None:
    product = list_product(staff)
    staff.ask("PATCH", f"/products/{product}", {"name": "Another thing"})
    changes = auditor.ask("GET", f"/audit/streams/{product}").json()["data"]
    assert [one["name"] for one in changes] == ["product.listed", "product.renamed"]
    assert changes[1]["differences"] == [
        {"field": "name", "before": "A thing", "after": "Another thing"}
    ]
    assert changes[1]["actorId"] == staff.id
    refused(auditor.ask("GET", f"/audit/streams/{UUID(int=1)}"), 404, "NOT_FOUND")
    # A page begins with what was known by then, and only what is given counts as given.
    path = f"/audit/streams/{product}?limit=1"
    first = auditor.ask("GET", path).json()
    rest = auditor.ask("GET", f"{path}&cursor={first['pagination']['next']}").json()
    assert [*first["data"], *rest["data"]] == changes
    assert rest["pagination"]["next"] is None
    [_, noted] = auditor.ask("GET", "/audit/accesses?action=stream&limit=2").json()["data"]
    assert (noted["asked"], noted["rows"]) == ({"streamId": product, "limit": "1"}, 1)


def test_what_is_recorded_as_given_is_what_was_given(auditor: Person, order: str) -> None:
    assert len(events(auditor, "limit=2")) == 2
    for action in ("events", "accesses"):
        path = f"/audit/accesses?action={action}&limit=1"
        assert auditor.ask("GET", path).json()["pagination"]["next"]
        [noted] = auditor.ask("GET", path).json()["data"]
        assert noted["rows"] == (2 if action == "events" else 1)
    assert order


def test_an_auditor_sees_nothing_personal(auditor: Person, customer: Person) -> None:
    shown = auditor.ask("GET", f"/audit/events?subject={customer.id}&limit=100").text
    shown += auditor.ask("GET", f"/audit/streams/{customer.id}").text
    assert "user.registered" in shown
    assert customer.email not in shown
    assert "Ada Lovelace" not in shown
    assert "argon2" not in shown


def test_every_question_is_recorded_with_who_asked_and_what_was_given(
    auditor: Person, admin: Person, order: str
) -> None:
    found = events(auditor, f"streamId={order}&data.amount.amount=38.25&data.reference=PAY-7")
    auditor.ask("GET", "/audit/proofs/inclusion?position=1")
    asked = admin.ask("GET", f"/audit/accesses?actorId={auditor.id}&limit=2").json()["data"]
    assert [one["action"] for one in asked] == ["inclusion", "events"]
    assert asked[1]["asked"] == {
        "streamId": order,
        "data.amount.amount": "38.25",
        "data.reference": "(withheld)",  # a field of that name may tell of a person
    }
    assert (asked[1]["rows"], asked[1]["actorRole"]) == (len(found), "auditor")
    again = admin.ask("GET", "/audit/accesses?limit=1").json()
    assert (again["data"][0]["action"], again["data"][0]["actorRole"]) == ("accesses", "admin")
    assert again["pagination"]["next"]


def test_what_cannot_be_asked_is_refused(auditor: Person, client: Client) -> None:
    for wrong in (
        "data.=1",
        "data.a-b=1",
        "data.a..b=1",
        "data.a=",
        "dat.a=1",
        "positionFrom=0",
        "occurredFrom=soon",
        "limit=101",
        "&".join(f"data.a{number}=1" for number in range(6)),
        "data.a=1&data.a=2",
    ):
        refused(auditor.ask("GET", f"/audit/events?{wrong}"), 400, "MALFORMED_REQUEST")
    refused(auditor.ask("GET", "/audit/accesses?data.a=1"), 400, "MALFORMED_REQUEST")
    refused(client.get("/api/v1/audit/events"), 401, "UNAUTHENTICATED")


def test_what_is_too_new_for_the_index_is_found_all_the_same(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        assert not index_block(connection)


def sign_now(database_url: str) -> str | None:
    """Sign the log as it is, so that it can be exported."""
    with connect(database_url, name="test") as connection:
        grow(connection)
        return sign(connection, [Signer(origin_of(connection), b"s" * 32)], timedelta(0))


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"X_Request_ID": "ask-1", "X_Correlation_ID": "shop-1"}, ("ask-1", "shop-1")),
        (
            {"X_Request_ID": "ask-2", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            ("ask-2", TRACE),
        ),
        ({"X_Request_ID": "ask-3", "X_Correlation_ID": "no good"}, ("ask-3", "ask-3")),
        ({"X_Request_ID": "ask-4", "traceparent": "00-" + "0" * 32}, ("ask-4", "ask-4")),
    ],
    ids=["both", "trace", "neither", "no trace"],
)
def test_an_event_keeps_the_ids_that_its_request_came_with(
    auditor: Person, staff: Person, sent: dict[str, str], kept: tuple[str, str]
) -> None:
    body = {"sku": uuid4().hex, "name": "Tea", "stock": None}
    body |= {"price": {"amount": "1.00", "currency": "GBP"}}
    answer = staff.ask("POST", "/products", body, **sent)
    assert answer.headers["x-request-id"] == sent["X_Request_ID"]
    listed = newest(auditor, data_of(answer)["id"])
    assert (listed["requestId"], listed["correlationId"]) == kept


def test_an_export_and_its_proof_are_streamed_and_recorded(
    auditor: Person, database_url: str, order: str
) -> None:
    refused(auditor.ask("GET", "/audit/export"), 404, "NOT_FOUND")
    assert sign_now(database_url)
    answer = auditor.ask("GET", f"/audit/export?streamId={order}")
    assert answer.headers["content-type"].startswith("application/jsonl")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["name"] for row in rows] == ["order.placed", "order.paid"]
    size = answer.headers["daybook-head-size"]
    asked = f"/audit/export/proof?streamId={order}&size={size}"
    *proof, _ = auditor.ask("GET", asked).text.splitlines()
    assert json.loads(proof[0])["size"] == int(size)
    assert json.loads(proof[-1]) == {"rows": 2, "sha256": None}
    noted = auditor.ask("GET", f"/audit/accesses?actorId={auditor.id}&limit=4").json()["data"]
    assert [(one["kind"], one["action"], one["rows"]) for one in noted] == [
        ("export", "export_proven", 2),
        ("export", "export_proof", 0),
        ("export", "exported", 2),
        ("export", "export", 0),
    ]
    for form in ("csv", "parquet"):
        assert auditor.ask("GET", f"/audit/export?format={form}").content
    refused(auditor.ask("GET", "/audit/export?format=doc"), 400, "MALFORMED_REQUEST")
    refused(auditor.ask("GET", "/audit/export?size=1"), 404, "NOT_FOUND")


def test_erasures_operations_and_looks_at_a_person_are_listed_with_their_kind(
    auditor: Person, admin: Person, client: Client, post: Post, database_url: str
) -> None:
    zoe = register(client)
    sign_now(database_url)
    assert auditor.ask("GET", "/audit/export").is_success
    post()
    assert admin.ask("GET", f"/users/{zoe.id}/personal-data").is_success
    assert zoe.ask("GET", f"/users/{zoe.id}/personal-data").is_success  # one's own is nobody's
    paused = admin.ask("POST", "/projections/orders/pause", {"reason": "Zoe rang"})
    assert paused.status_code == 202
    zoe.ask("DELETE", f"/users/{zoe.id}/personal-data")
    listed = auditor.ask("GET", "/audit/accesses?limit=3").json()["data"]
    assert [(one["kind"], one["action"], one["actorRole"]) for one in listed] == [
        ("erasure", "user.forgotten", "customer"),
        ("operation", "projection.paused", "admin"),
        ("question", "personal_data", "admin"),
    ]
    assert listed[0]["actorId"] == listed[0]["asked"]["streamId"] == zoe.id
    assert listed[1]["asked"]["projection"] == "orders"
    assert "reason" not in listed[1]["asked"]
    assert (listed[2]["asked"], listed[2]["rows"]) == ({"subject": zoe.id}, 2)  # and a session
    for kind in ("erasure", "operation", "export", "question"):
        found = auditor.ask("GET", f"/audit/accesses?kind={kind}&limit=100").json()["data"]
        assert {one["kind"] for one in found} == {kind}
    event = auditor.ask("GET", f"/audit/events/{listed[1]['asked']['logPosition']}")
    assert data_of(event)["event"]["data"]["reason"] == "Zoe rang"
    refused(auditor.ask("GET", "/audit/accesses?kind=none"), 400, "MALFORMED_REQUEST")


def test_what_cannot_be_recorded_is_not_answered(
    admin: Person, client: Client, order: str, post: Post, database_url: str
) -> None:
    zoe = register(client)
    size = head_in(sign_now(database_url) or "").size
    post()
    questions = [
        "/audit/events?limit=1",
        "/audit/events/1",
        f"/audit/streams/{order}",
        "/audit/proofs/inclusion?position=1",
        f"/audit/proofs/consistency?first={size}&second={size}",
        "/audit/sign-ins?limit=1",
        "/audit/accesses?limit=1",
        "/audit/export?positionTo=1",
        f"/audit/export/proof?positionTo=1&size={size}",
        f"/orders/{order}?asOf={size}",
        f"/users/{zoe.id}/orders?asOf={size}",
        f"/orders?asOf={size}",
        f"/users/{zoe.id}/personal-data",
    ]
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(FULL)
        for path in questions:
            refused(admin.ask("GET", path, Prefer="wait=0"), 503, "UNAVAILABLE")
        owner.execute("drop trigger is_full on audit_accesses")
    for path in questions:
        assert admin.ask("GET", path, Prefer="wait=0").is_success, path


# Nothing more can be written there, as when the disk is full.
FULL = """
create function is_full() returns trigger language plpgsql as $$
begin raise exception 'no space left on device' using errcode = '53100'; end $$;
create trigger is_full before insert on audit_accesses for each row execute function is_full()
"""


async def trace_of(database_url: str, correlation: str) -> Trace:
    """Return what `daybook audit trace` shows."""
    noted = Access("auditor", "auditor", "r", "trace", {})
    async with Trail(database_url) as trail:
        return await trail.trace({"correlation_id": correlation}, 10, noted)


SIGN_IN = """
insert into sign_ins (at, kind, user_id, session_id, network, address, agent, request_id)
select recorded_at - %s::interval, %s, %s, %s, 'n', %s, 'browser', %s
  from events where position = %s
"""


def test_an_event_is_shown_with_the_sessions_that_its_actor_had(
    auditor: Person, customer: Person, staff: Person, database_url: str
) -> None:
    placed = newest(auditor, place_order(customer, list_product(staff)))
    place, request = placed["position"], placed["requestId"]
    held, left, expired, reused = (str(uuid4()) for _ in range(4))
    records = [
        ("50 min", "signed_in", customer.id, held, "198.51.100.1", "r-1"),
        ("20 min", "refreshed", customer.id, held, "198.51.100.2", "r-2"),
        ("30 min", "signed_in", customer.id, left, "198.51.100.3", "r-3"),
        ("10 min", "signed_out", customer.id, left, "198.51.100.3", "r-4"),
        ("2 hours", "signed_in", customer.id, expired, "198.51.100.4", "r-5"),
        ("-1 min", "signed_in", customer.id, str(uuid4()), "198.51.100.5", "r-6"),
        ("20 min", "signed_in", staff.id, str(uuid4()), "198.51.100.6", "r-7"),
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for record in records:
            connection.execute(SIGN_IN, [*record, place])

        def shown() -> list[tuple[str, str, bool]]:
            found = data_of(auditor.ask("GET", f"/audit/events/{place}"))["sessions"]
            return [(one["sessionId"], one["address"], one["exact"]) for one in found]

        assert shown() == [(held, "198.51.100.2", False)]
        exact = ("-1 s", "reused", customer.id, reused, "198.51.100.9", request)
        connection.execute(SIGN_IN, [*exact, place])
        assert shown() == [(reused, "198.51.100.9", True)]
        traced = asyncio.run(trace_of(database_url, placed["correlationId"]))
        assert place in [one.position for one in traced.events]
        assert [one.address for one in traced.sessions[request]] == ["198.51.100.9"]
        connection.execute("delete from sign_ins where user_id = %s", [customer.id])  # forgotten
        assert shown() == []


def test_no_route_shows_an_auditor_what_is_personal(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client,
    auditor: Person,
    admin: Person,
    post: Post,
    make: Make,
    database_url: str,
) -> None:
    """S21: history, lists and resources of the past, exports and proofs, all of one person."""
    zoe = register(client, "zoe.quux@example.com")
    zoe.ask("PATCH", f"/users/{zoe.id}", {"name": "Zoe Quux"})
    product = list_product(admin, amount="5.00")
    sent, called_off = (place_order(zoe, product, quantity=1) for _ in range(2))
    paid = {"reference": "PAY-9", "amount": {"amount": "5.00", "currency": "GBP"}}
    written: dict[str, tuple[str, Json]] = {
        "PAY-9": (f"/orders/{sent}/payment", paid),
        "RM-QUUX": (
            f"/orders/{sent}/shipment",
            {"carrier": "Royal Mail", "trackingNumber": "RM-QUUX"},
        ),
        "a note": (f"/orders/{sent}/notes", {"text": "a note"}),
        "a refund": (f"/orders/{sent}/refund", {"reason": "a refund"}),
        "a reason": (f"/orders/{called_off}/cancellation", {"reason": "a reason"}),
    }
    for path, body in written.values():
        end = int(admin.ask("POST", path, body).raise_for_status().headers["daybook-position"])
    post()
    assert sign_now(database_url)
    personal = {"zoe.quux", "Zoe Quux", *written.keys() - {"PAY-9"}}
    whole = admin.ask("GET", f"/users/{zoe.id}/personal-data").text
    assert [one for one in personal if one not in whole] == []

    places = {"user_id": zoe.id, "order_id": sent, "product_id": product, "position": str(end)}
    found = ("data.email=zoe.quux@example.com", "data.name=Zoe%20Quux", f"subject={zoe.id}")
    asked = [f"/api/v1/audit/events?{query}" for query in found]
    for path in sorted(
        path for path, who in VIEWS.items() if "auditor" in who and path not in STREAMS
    ):
        for stream in (zoe.id, sent, called_off):
            where = filled(path, {**places, "stream_id": stream})
            past = f"{where}{'&' if '?' in where else '?'}asOf={end}"
            asked += [where, past, f"{past}&limit=100"]
    answers = [as_asked(client, auditor, where, make) for where in dict.fromkeys(asked)]
    shown = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.request.url.path for answer in shown}) > 20
    for answer in shown:
        assert not [one for one in personal if one in answer.text], answer.request.url


def as_asked(client: Client, person: Person, where: str, make: Make) -> httpx.Response:
    """Return what a path of any version answers, once a list of the past is made."""
    headers = {"Authorization": f"Bearer {person.access_token}", "Prefer": "wait=0"}
    answer = client.get(where, headers=headers)
    if answer.status_code == 202:
        make()
        answer = client.get(where, headers=headers)
    return answer
