"""`daybook demo`: a tour over HTTP, from a registration to a shipped order and its events."""

import asyncio
import secrets
import time
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx
from rich.console import Console
from rich.table import Table

from commands.execution import execute
from commands.users.change_role import ChangeRole, change_role
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.printing import number
from daybook.processes.programs import address, answers, everything
from daybook.services import ServiceError, Services, services
from daybook.settings import Settings
from event_store.connections import connect

PASSWORD = secrets.token_urlsafe(16)
VIEW_SECONDS = 10.0
VIEW_PAUSE_SECONDS = 0.25  # each look is a request that counts

EVENTS = """
select position, name, command, actor_role, data::text
  from events where stream_id = any(%s::uuid[]) order by position
"""


def run(settings: Settings, console: Console) -> None:
    """Take the tour on the Daybook that runs here, or on one that is started for it."""
    with ExitStack() as stack:
        if answers(settings):
            found = stack.enter_context(services(settings))
        else:
            console.print("No Daybook runs here: one is started for the tour.")
            _, found = stack.enter_context(everything(settings))
        here = f"{address(settings)}/api/v1"
        client = stack.enter_context(httpx.Client(base_url=here, trust_env=False))
        Tour(client, found, console).take()


class Tour:
    """The steps of the tour, each printed with its request and the answer."""

    def __init__(self, client: httpx.Client, found: Services, console: Console) -> None:
        self._client, self._found, self._console = client, found, console
        self._mark = secrets.token_hex(3)

    def take(self) -> None:
        """Go through all the steps."""
        customer = self._account("customer")
        clerk = self._account("clerk")
        asyncio.run(make_staff(self._found, UUID(clerk["id"])))
        self._say("The operator makes the clerk a member of staff, on this machine.")
        buyer, staff = self._log_in("customer"), self._log_in("clerk")
        product = self._product(staff)
        order = self._order(buyer, product["id"])
        total = order["total"]
        self._post(f"/orders/{order['id']}/payment", {"reference": "PAY-1", "amount": total}, staff)
        parcel = {"carrier": "Post", "trackingNumber": "RR123456785GB"}
        shipped = self._post(f"/orders/{order['id']}/shipment", parcel, staff)
        self._views(buyer, staff, order["id"], shipped["version"])
        self._events([customer["id"], product["id"], order["id"]])

    def _account(self, name: str) -> dict[str, Any]:
        body = {"email": self._email(name), "password": PASSWORD, "name": f"Demo {name}"}
        return self._post("/users", body)

    def _email(self, name: str) -> str:
        return f"demo-{name}-{self._mark}@daybook.example"

    def _log_in(self, name: str) -> str:
        body = {"email": self._email(name), "password": PASSWORD}
        return str(self._post("/auth/login", body)["accessToken"])

    def _product(self, token: str) -> dict[str, Any]:
        price = {"amount": "12.50", "currency": "GBP"}
        body = {"sku": f"DEMO-{self._mark}", "name": "Daybook, bound", "price": price, "stock": 10}
        return self._post("/products", body, token)

    def _order(self, token: str, product_id: str) -> dict[str, Any]:
        return self._post("/orders", {"items": [{"productId": product_id, "quantity": 2}]}, token)

    def _views(self, buyer: str, staff: str, order_id: str, version: int) -> None:
        order = self._get_until(f"/orders/{order_id}", buyer, version)
        self._say(f"The order's view: {order['status']}, {order['total']['amount']} GBP.")
        day = order["placedAt"][:10]
        report = self._get(f"/reports/sales?groupBy=day&from={day}&to={day}", staff)
        orders, revenue = report[0]["orders"], report[0]["revenue"]["amount"]
        self._say(f"Sales of {day}: {orders} orders, {revenue} GBP.")

    def _events(self, stream_ids: list[str]) -> None:
        table = Table(
            number("Position"), "Event", "Command", "By", "Data", title="The events behind it"
        )
        with connect(self._found.database_url, name="daybook demo") as connection:
            for position, *cells, data in connection.execute(EVENTS, [stream_ids]).fetchall():
                hidden = "(password hash not shown)" if "password_hash" in data else data[:70]
                table.add_row(str(position), *cells, hidden)
        self._console.print(table)

    def _post(self, path: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        answer = self._client.post(path, json=body, headers=bearer(token))
        data: dict[str, Any] = read(answer)
        self._say(f"POST {path}: {answer.status_code}")
        return data

    def _get(self, path: str, token: str) -> Any:
        return read(self._client.get(path, headers=bearer(token)))

    def _get_until(self, path: str, token: str, version: int) -> dict[str, Any]:
        deadline = time.monotonic() + VIEW_SECONDS
        while time.monotonic() < deadline:
            answer = self._client.get(path, headers=bearer(token))
            if answer.is_success and answer.json()["data"]["version"] >= version:
                data: dict[str, Any] = answer.json()["data"]
                return data
            time.sleep(VIEW_PAUSE_SECONDS)
        raise ServiceError("The views do not follow: see `daybook projections status`.")

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False)


async def make_staff(found: Services, user_id: UUID) -> None:
    """Give a user the role staff, as the operator of this machine."""
    async with operator_tools(found) as tools:
        request = ChangeRole(user_id=user_id, role="staff")
        await execute(tools, operator(), change_role, request)


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that says who asks."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def read(answer: httpx.Response) -> Any:
    """Return an answer's data, or end the tour with what it says."""
    body = answer.json()
    if not body["success"]:
        error = body["error"]
        raise ServiceError(f"{answer.request.url} says {error['code']}: {error['message']}")
    return body["data"]
