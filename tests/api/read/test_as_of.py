"""`asOf`: a resource as it was is what a rebuild that stopped there would show, to auditors."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import Table

from api.envelope import ENCODER
from event_store import reading
from event_store.connections import connect
from projections import orders, products, users
from projections.as_of import as_text
from projections.projection import Projection, Rows, fold_page
from tests.api.conftest import Client, Json, Person, data_of, list_product, place_order, refused


@pytest.fixture(scope="module")
def order(customer: Person, staff: Person) -> str:
    """Give an order that has come a long way, of a product that has changed."""
    product = list_product(staff, amount="5.00")
    found = place_order(customer, product)
    paid = {"reference": "PAY-1", "amount": {"amount": "10.00", "currency": "GBP"}}
    staff.ask("POST", f"/orders/{found}/payment", paid)
    staff.ask("PATCH", f"/products/{product}", {"name": "Another thing"})
    staff.ask("POST", f"/orders/{found}/shipment", {"carrier": "Post", "trackingNumber": "RR1"})
    staff.ask("POST", f"/orders/{found}/notes", {"text": "Careful."})
    customer.ask("PATCH", f"/users/{customer.id}", {"name": "Ada King"})
    staff.ask("POST", f"/products/{product}/stock-adjustments", {"quantity": 3, "reason": "found"})
    staff.ask("DELETE", f"/products/{product}")
    return found


KINDS: list[tuple[str, Projection, Table, Any]] = [
    (
        "orders",
        orders.PROJECTION,
        orders.ORDERS,
        lambda row: orders.order_view(row, for_staff=True),
    ),
    ("products", products.PROJECTION, products.PRODUCTS, products.product_view),
    ("users", users.PROJECTION, users.USERS, users.user_view),
]


@pytest.mark.parametrize("kind", KINDS, ids=[kind[0] for kind in KINDS])
def test_what_was_is_what_a_rebuild_that_stops_there_makes(
    database_url: str, auditor: Person, order: str, kind: tuple[str, Projection, Table, Any]
) -> None:
    name, projection, table, view = kind
    assert order
    with connect(database_url, name="test") as connection:
        end = reading.head(connection)
        for position in range(1, end + 1):
            page = reading.page(connection, 0, position, projection.event_names, None)
            for row in fold_page(projection, Rows(), page).all(table):
                texts = {c.name for c in table.columns if c.type.__class__.__name__ == "JSONB"}
                stored = {k: as_text(v) if k in texts else v for k, v in row.items()}
                expected = msgspec.json.decode(ENCODER.encode(view(stored)))
                shown = auditor.ask("GET", f"/{name}/{row['id']}?asOf={position}")
                assert data_of(shown) == expected
                assert shown.headers["daybook-position"] == str(position)


def test_before_it_began_it_was_not(auditor: Person, order: str) -> None:
    refused(auditor.ask("GET", f"/orders/{order}?asOf=1"), 404, "NOT_FOUND")
    refused(auditor.ask("GET", f"/orders/{order}?asOf=2020-01-01"), 404, "NOT_FOUND")


def test_a_moment_means_what_was_recorded_or_had_happened(auditor: Person, order: str) -> None:
    events: list[Json] = auditor.ask("GET", f"/audit/events?streamId={order}&sortOrder=asc").json()[
        "data"
    ]
    for time in ("recorded", "happened"):
        paid = events[1]["recordedAt" if time == "recorded" else "occurredAt"].replace("+", "%2B")
        was = data_of(auditor.ask("GET", f"/orders/{order}?asOf={paid}&asOfTime={time}"))
        assert was["status"] == "paid"
    assert data_of(auditor.ask("GET", f"/orders/{order}?asOf=2100-01-01"))["status"] == "shipped"


def test_the_past_is_for_auditors_and_they_are_recorded(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client, auditor: Person, admin: Person, staff: Person, customer: Person, order: str
) -> None:
    assert admin.ask("GET", f"/orders/{order}?asOf=9999").is_success
    for person in (staff, customer):
        refused(person.ask("GET", f"/orders/{order}?asOf=9999"), 403, "FORBIDDEN")
    refused(client.get(f"/api/v1/products/{order}?asOf=9999"), 401, "UNAUTHENTICATED")
    refused(auditor.ask("GET", f"/orders/{order}?asOf=soon"), 400, "MALFORMED_REQUEST")
    auditor.ask("GET", f"/users/{customer.id}?asOf=9999")
    noted = auditor.ask("GET", f"/audit/accesses?actorId={auditor.id}&limit=1").json()["data"]
    assert noted[0]["action"] == "as_of"
    assert noted[0]["asked"] == {"view": "users", "id": customer.id, "asOf": "9999"}


def test_the_past_holds_nothing_personal(auditor: Person, customer: Person, order: str) -> None:
    shown = auditor.ask("GET", f"/users/{customer.id}?asOf=9999").text
    shown += auditor.ask("GET", f"/orders/{order}?asOf=9999").text
    assert customer.email not in shown
    assert "Ada" not in shown
    assert "Careful." not in shown
