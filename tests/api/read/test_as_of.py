"""`asOf`: a resource as it was is what a rebuild that stopped there would show, to auditors."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import Table

from api.envelope import ENCODER
from event_store import reading
from event_store.connections import connect
from projections import orders, products, users
from projections.pasts.as_of import as_text
from projections.projection import Projection, Rows, fold_page
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
from tests.api.read.conftest import Make


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


def newest(auditor: Person) -> int:
    """Return where the log ends."""
    [event] = auditor.ask("GET", "/audit/events?limit=1&sortOrder=desc").json()["data"]
    return int(event["position"])


def test_the_past_is_for_auditors_and_they_are_recorded(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client, auditor: Person, admin: Person, staff: Person, customer: Person, order: str
) -> None:
    end = newest(auditor)
    assert admin.ask("GET", f"/orders/{order}?asOf={end}").is_success
    for person in (staff, customer):
        refused(person.ask("GET", f"/orders/{order}?asOf={end}"), 403, "FORBIDDEN")
    refused(client.get(f"/api/v1/products/{order}?asOf={end}"), 401, "UNAUTHENTICATED")
    refused(auditor.ask("GET", f"/orders/{order}?asOf=soon"), 400, "MALFORMED_REQUEST")
    auditor.ask("GET", f"/users/{customer.id}?asOf={end}")
    noted = auditor.ask("GET", f"/audit/accesses?actorId={auditor.id}&limit=1").json()["data"]
    assert noted[0]["action"] == "as_of"
    assert noted[0]["asked"] == {"view": "users", "id": customer.id, "asOf": str(end)}


def test_the_past_holds_nothing_personal(auditor: Person, customer: Person, order: str) -> None:
    end = newest(auditor)
    shown = auditor.ask("GET", f"/users/{customer.id}?asOf={end}").raise_for_status().text
    shown += auditor.ask("GET", f"/orders/{order}?asOf={end}").raise_for_status().text
    assert customer.email not in shown
    assert "Ada" not in shown
    assert "Careful." not in shown


def listed(person: Person, path: str, make: Make) -> Json:
    """Return the body of a list of the past, which is made if need be."""
    answer = person.ask("GET", path, Prefer="wait=0")
    if answer.status_code == 202:
        assert answer.json()["data"]["state"] == "waiting"
        assert int(answer.headers["retry-after"]) >= 1
        make()
        answer = person.ask("GET", path)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def test_a_list_is_as_it_was(auditor: Person, order: str, make: Make) -> None:
    events: list[Json] = auditor.ask("GET", f"/audit/events?streamId={order}&sortOrder=asc").json()[
        "data"
    ]
    placed, paid = events[0]["position"], events[1]["position"]
    assert listed(auditor, f"/orders?asOf={placed - 1}", make)["data"] == []
    was = listed(auditor, f"/orders?asOf={paid}&status=paid&minTotal=5&sortBy=total&limit=1", make)
    assert [one["id"] for one in was["data"]] == [order]
    assert was["pagination"]["total"] == 1
    assert listed(auditor, f"/orders?asOf={paid}&status=placed", make)["data"] == []
    moment = events[1]["recordedAt"].replace("+", "%2B")
    for query in (f"asOf={moment}", f"asOf={moment}&asOfTime=happened"):
        assert listed(auditor, f"/orders?{query}", make)["data"] == was["data"]
    of_buyer = f"/users/{was['data'][0]['userId']}/orders?asOf={paid}"
    assert listed(auditor, of_buyer, make)["data"] == was["data"]
    products = listed(auditor, f"/products?asOf={paid}&status=for_sale&inStock=true", make)["data"]
    assert [one["name"] for one in products] == ["A thing"]
    assert products == [data_of(auditor.ask("GET", f"/products/{products[0]['id']}?asOf={paid}"))]
    for group, of_it in (("day", "date"), ("product", "sku"), ("customer", "userId")):
        [sale] = listed(auditor, f"/reports/sales?groupBy={group}&asOf={paid}", make)["data"]
        assert (sale["orders"], sale["units"]) == (1, 2)
        assert sale[of_it]


def test_lists_of_the_past_are_for_auditors_and_recorded(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client, auditor: Person, admin: Person, staff: Person, customer: Person, make: Make
) -> None:
    path = "/users?asOf=3&role=admin"
    assert len(listed(auditor, path, make)["data"]) == len(listed(admin, path, make)["data"]) == 1
    [noted] = auditor.ask("GET", "/audit/accesses?action=list_as_of&limit=1").json()["data"]
    assert (noted["actorRole"], noted["rows"]) == ("admin", 1)
    assert noted["asked"] == {"view": "users", "asOf": "3", "role": "admin"}
    for one in ("users", "orders", "products", f"users/{customer.id}/orders"):
        refused(staff.ask("GET", f"/{one}?asOf=3"), 403, "FORBIDDEN")
    refused(customer.ask("GET", "/orders?asOf=3"), 403, "FORBIDDEN")
    refused(client.get("/api/v1/products?asOf=3"), 401, "UNAUTHENTICATED")
    refused(auditor.ask("GET", "/admin/users?asOf=3"), 403, "FORBIDDEN")
    for one in ("users", "reports/sales?groupBy=day"):
        refused(auditor.ask("GET", f"/{one}"), 403, "FORBIDDEN")
    assert listed(admin, "/admin/users?asOf=3", make)["data"][0]["sessions"] == 1


@pytest.mark.parametrize("moment", ["9999", "2100-01-01", "2100-01-01&asOfTime=happened"])
def test_what_has_not_passed_is_refused_of_one_as_of_many(
    auditor: Person, order: str, moment: str
) -> None:
    answers = [
        auditor.ask("GET", f"{path}?asOf={moment}") for path in ("/orders", f"/orders/{order}")
    ]
    many, one = (refused(answer, 400, "MALFORMED_REQUEST") for answer in answers)
    assert "has come to position" in many["message"]
    assert many == one


def test_what_is_sealed_is_no_way_to_find_it(auditor: Person) -> None:
    for query in ("email=ada", "sortBy=name"):
        error = refused(auditor.ask("GET", f"/users?asOf=3&{query}"), 400, "MALFORMED_REQUEST")
        assert error["details"][0]["field"] == query.split("=")[0]
    refused(
        auditor.ask("GET", "/reports/sales?groupBy=customer&asOf=3&sortBy=name"),
        400,
        "MALFORMED_REQUEST",
    )


def test_who_is_forgotten_is_forgotten_in_the_past(
    client: Client, auditor: Person, staff: Person, make: Make
) -> None:
    person = register(client)
    place_order(person, list_product(staff))
    end = int(
        person.ask("PATCH", f"/users/{person.id}", {"name": "Eve"}).headers["daybook-position"]
    )
    paths = [f"/users?asOf={end}&limit=100", f"/reports/sales?groupBy=customer&asOf={end}"]

    def shown() -> list[Json]:
        lists = [listed(auditor, path, make)["data"] for path in paths]
        found = [
            one for rows in lists for one in rows if person.id in {one.get("id"), one.get("userId")}
        ]
        return [*found, data_of(auditor.ask("GET", f"/users/{person.id}?asOf={end}"))]

    assert all(one["name"].startswith("sealed.1.") for one in shown())
    assert person.ask("DELETE", f"/users/{person.id}/personal-data").is_success
    assert [one["name"] for one in shown()] == ["forgotten"] * 3
    assert shown()[0]["email"] == "forgotten"
    assert shown()[0]["status"] == "active"  # as it was


def test_when_all_places_are_in_use_it_is_said_when_to_come_again(
    auditor: Person, order: str, make: Make
) -> None:
    make()
    answers = [
        auditor.ask("GET", f"/reports/sales?groupBy=day&asOf={position}", Prefer="wait=0")
        for position in range(1, 14)
    ]
    assert [answer.status_code for answer in answers] == [202] * 12 + [503]
    refused(answers[-1], 503, "UNAVAILABLE")
    assert answers[-1].headers["retry-after"] == "15"
    make()
    assert listed(auditor, "/reports/sales?groupBy=day&asOf=13", make)["data"] == []
    assert order
