"""A shop's day: people register, order, pay, get their parcels and change their minds."""

from uuid import uuid4

import httpx

from tests.stories.running import Running, data_of, seen_of, wait_until

PASSWORD = "correct horse battery"


def register(daybook: Running, name: str) -> tuple[str, httpx.Client]:
    email = f"{name}-{uuid4().hex[:8]}@daybook.example"
    with daybook.client() as anyone:
        answer = anyone.post("/users", json={"email": email, "password": PASSWORD, "name": name})
    return data_of(answer)["id"], daybook.log_in(email, PASSWORD)


def list_product(admin: httpx.Client, amount: str, stock: int | None) -> str:
    price = {"amount": amount, "currency": "GBP"}
    body = {"sku": f"SKU-{uuid4().hex[:8]}", "name": "Tea", "price": price, "stock": stock}
    return str(data_of(admin.post("/products", json=body))["id"])


def test_an_order_goes_from_placing_to_delivery(daybook: Running) -> None:
    admin, (_, ada) = daybook.log_in(), register(daybook, "Ada")
    product = list_product(admin, "4.205", stock=10)
    answer = ada.post("/orders", json={"items": [{"productId": product, "quantity": 3}]})
    assert answer.status_code == 201
    order = data_of(answer)
    assert order["total"] == {"amount": "12.62", "currency": "GBP"}
    path = f"/orders/{order['id']}"
    admin.post(f"{path}/payment", json={"reference": "P-1", "amount": order["total"]})
    parcel = {"carrier": "Post", "trackingNumber": "RR1"}
    admin.post(f"{path}/shipment", json=parcel)
    delivered = admin.post(f"{path}/delivery", json={})
    assert delivered.status_code == 200, delivered.text
    seen = seen_of(ada, path, delivered)
    assert seen["status"] == "delivered"
    assert seen["shipment"]["trackingNumber"] == "RR1"
    assert seen["items"][0]["amount"] == {"amount": "12.615", "currency": "GBP"}
    assert seen_of(ada, f"/products/{product}", delivered)["stock"] == 7
    past = f"/orders?asOf={answer.headers['daybook-position']}&limit=1"
    wait_until(lambda: bool(admin.get(past).status_code == 200), 60)  # a worker makes it
    assert [one["status"] for one in data_of(admin.get(past))] == ["placed"]


def test_a_cancelled_order_gives_its_stock_back_and_leaves_the_report(daybook: Running) -> None:
    admin, (_, bob) = daybook.log_in(), register(daybook, "Bob")
    product = list_product(admin, "10.00", stock=5)
    items = {"items": [{"productId": product, "quantity": 5}]}
    order = data_of(bob.post("/orders", json=items))
    again = bob.post("/orders", json=items)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "OUT_OF_STOCK")
    cancelled = bob.post(f"/orders/{order['id']}/cancellation", json={"reason": "Too much tea"})
    assert seen_of(bob, f"/products/{product}", cancelled)["stock"] == 5
    report = seen_of(admin, "/reports/sales", cancelled, groupBy="product", limit=100)
    assert product not in {row["productId"] for row in report}


def test_people_see_their_own_orders_only(daybook: Running) -> None:
    admin = daybook.log_in()
    (_, carol), (dave_id, dave) = register(daybook, "Carol"), register(daybook, "Dave")
    product = list_product(admin, "1.00", stock=None)
    placed = carol.post("/orders", json={"items": [{"productId": product, "quantity": 1}]})
    order = data_of(placed)
    seen_of(carol, f"/orders/{order['id']}", placed)
    assert dave.get(f"/orders/{order['id']}").status_code == 404
    assert data_of(dave.get("/orders")) == []
    assert dave.get(f"/users/{dave_id}/orders").status_code == 200
    assert dave.get("/users").status_code == 403
    assert dave.post(f"/orders/{order['id']}/cancellation", json={"reason": "x"}).status_code == 404


def test_a_logout_ends_the_access_token(daybook: Running) -> None:
    _, eve = register(daybook, "Eve")
    assert eve.get("/users/me").status_code in {200, 404}
    assert eve.post("/auth/logout").status_code == 204
    answer = eve.get("/users/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_request_with_two_idempotency_keys_is_refused(daybook: Running) -> None:
    _, frank = register(daybook, "Frank")
    keys = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    answer = frank.post("/orders", json={"items": []}, headers=keys)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MALFORMED_REQUEST")


def test_the_openapi_document_and_its_page_are_served(daybook: Running) -> None:
    root = daybook.url.removesuffix("/api/v1")
    document = httpx.get(f"{root}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/orders" in document["paths"]
    page = httpx.get(f"{root}/docs", follow_redirects=True)
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://daybook", ""), "the page needs no internet"
