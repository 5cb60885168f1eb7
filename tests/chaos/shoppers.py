"""Those who shop: they ask under a key until they have an answer, and write down what it was."""

import asyncio
import random
import time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.ledger import Ledger, Ordered

PASSWORD = "a password for shopping"
PRICES = ("4.20", "3.00", "12.50")
TRACKED = 100_000
ANSWER_SECONDS = 120.0


class Shop:
    """The API as shoppers use it: one connection pool, and no answer is never taken for one."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self.ledger = ledger
        self._client = httpx.AsyncClient(base_url=url, timeout=6, trust_env=False)
        self.staff = ""

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def ask(self, path: str, body: object, token: str = "") -> tuple[int, Any]:
        """Post a command until it is answered for certain: the same key each time."""
        headers = {"Idempotency-Key": uuid4().hex}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        ends = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = await self._client.post(path, json=body, headers=headers)
                self.ledger.answers[str(answer.status_code)] += 1
                if answer.status_code < 500 and not is_later(answer):
                    return answer.status_code, answer.json()
            except httpx.HTTPError as error:
                self.ledger.answers[type(error).__name__] += 1
            assert time.monotonic() < ends, f"{path} was not answered"
            await asyncio.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - jitter only

    async def data(self, path: str, body: object, token: str = "") -> Any:
        """Post a command that must be granted; return its data."""
        status, answer = await self.ask(path, body, token)
        assert status < 300, answer
        return answer["data"]

    async def log_in(self, email: str, password: str) -> str:
        """Return an access token."""
        credentials = {"email": email, "password": password}
        token: str = (await self.data("/auth/login", credentials))["accessToken"]
        return token

    async def open(self, email: str, password: str) -> None:
        """List the products, as staff."""
        self.staff = await self.log_in(email, password)
        for number, amount in enumerate(PRICES):
            stock = TRACKED if number else None
            price = {"amount": amount, "currency": "GBP"}
            body = {"sku": f"SKU-{number}", "name": "A thing", "price": price, "stock": stock}
            product = (await self.data("/products", body, self.staff))["id"]
            self.ledger.stock[product] = stock


def is_later(answer: httpx.Response) -> bool:
    """Tell whether an answer only says to come again: nothing was decided."""
    if answer.status_code == 409:
        return bool(answer.json()["error"]["code"] == "VERSION_CONFLICT")
    return answer.status_code == 429


async def shop(place: Shop, number: int, until: float, chance: random.Random) -> None:
    """Be one shopper until a moment of the clock."""
    email = f"shopper-{number}@example.com"
    body = {"email": email, "password": PASSWORD, "name": "A Shopper"}
    user = (await place.data("/users", body))["id"]
    token = await place.log_in(email, PASSWORD)
    while time.monotonic() < until:
        key = await order(place, user, token, chance)
        await decide(place, key, token, chance)


async def order(place: Shop, user: str, token: str, chance: random.Random) -> str:
    """Place an order and write it down."""
    product = chance.choice(sorted(place.ledger.stock))
    units = chance.randint(1, 3)
    items = [{"productId": product, "quantity": units}]
    status, answer = await place.ask("/orders", {"items": items}, token)
    assert status == 201, answer
    data, day = answer["data"], answer["meta"]["timestamp"][:10]
    total = Decimal(data["total"]["amount"])
    place.ledger.orders[data["id"]] = Ordered(user, product, units, total, day)
    key: str = data["id"]
    return key


async def decide(place: Shop, key: str, token: str, chance: random.Random) -> None:
    """Pay an order, cancel it, pay and refund it, or leave it as it is."""
    one = place.ledger.orders[key]
    what = chance.choice(("pay", "cancel", "refund", "leave"))
    if what in {"pay", "refund"}:
        amount = {"amount": str(one.total), "currency": "GBP"}
        payment = {"reference": "bank", "amount": amount}
        await place.data(f"/orders/{key}/payment", payment, place.staff)
        one.status = "paid"
    if what == "cancel":
        await place.data(f"/orders/{key}/cancellation", {"reason": "twice"}, token)
        one.status = "cancelled"
    if what == "refund":
        await place.data(f"/orders/{key}/refund", {"reason": "broken"}, place.staff)
        one.status = "refunded"
