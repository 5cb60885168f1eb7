"""A shop to measure: Daybook's server on a database of its own, products, somebody who orders."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import httpx
import msgspec
import psycopg

from benchmarks.bench import Bench, environment, free_port
from benchmarks.load import Order, write_bodies
from benchmarks.noop_app import PATH as NOOP
from benchmarks.postgres import Postgres
from commands.execution import execute
from commands.products.list_product import ListProduct, list_product
from commands.work import Tools
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.embedded import valkey as embedded_valkey
from daybook.processes import programs
from daybook.processes.supervisor import Supervisor
from daybook.services import Services
from daybook.settings import Settings
from domain.money import Money
from domain.product import LARGEST_STOCK
from projections.posting.status import statuses

SERVE = ("-m", "daybook", "serve", "--side", "all")
SERVE_NOOP = ("-m", "benchmarks.noop_app")
STAFF_EMAIL = "staff@daybook.example"


class Serve(NamedTuple):
    """A server to start: its module, and settings of its own."""

    module: str
    settings: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Shop:
    """What orders can be sent to; `ports` by the name of the server."""

    services: Services
    ports: dict[str, int]
    token: str
    staff_token: str = ""
    bodies: dict[str, Path] = field(default_factory=dict)

    def orders(self, bodies: str) -> Order:
        """Return orders for Daybook."""
        return self._order("daybook", "/api/v1/orders", bodies)

    def nothing(self) -> Order:
        """Return the same requests for the route that does nothing."""
        return self._order("noop", NOOP, "untracked")

    def behind(self) -> int:
        """Return how many events the view that is furthest behind has yet to post."""
        with psycopg.connect(self.services.database_url) as connection:
            return max(one.events for one in statuses(connection))

    def _order(self, server: str, path: str, bodies: str) -> Order:
        url = f"http://127.0.0.1:{self.ports[server]}{path}"
        return Order(url, self.token, self.bodies[bodies])


@contextmanager
def shop(  # noqa: PLR0913 - what a measurement needs, each by its name
    bench: Bench,
    postgres: Postgres,
    name: str,
    *,
    noop: bool,
    workers: bool = False,
    staffed: bool = False,
    others: Mapping[str, Serve] = MappingProxyType({}),
) -> Iterator[Shop]:
    """Run Daybook's server on a new log, with the no-op's, the workers and others if asked for."""
    folder = bench.folder / name
    folder.mkdir(mode=0o755)
    with ExitStack() as stack:
        stack.callback(postgres.drop, name)
        url = postgres.create_log(name)
        supervisor = stack.enter_context(Supervisor(folder / "log"))
        found = Services(url, embedded_valkey.start(supervisor, folder))
        secret = secrets.token_urlsafe(48)
        ports = {}
        for server, command in {"daybook": SERVE, **({"noop": SERVE_NOOP} if noop else {})}.items():
            settings = settings_of(found, secret, folder)
            ports[server] = settings.port
            start(supervisor, server, command, settings)
        for server, serve in others.items():
            settings = settings_of(found, secret, folder)
            ports[server] = settings.port
            start(supervisor, server, ["-m", serve.module], settings, serve.settings)
        if workers:
            settings = settings_of(found, secret, folder)
            env = {**variables(settings), "dramatiq_worker_timeout": programs.WORKER_TIMEOUT}
            supervisor.start("workers", programs.worker_command(settings), env=env)
        token = customer(ports["daybook"])
        staff_token = staff(ports["daybook"], settings) if staffed or others else ""
        opened = Shop(found, ports, token, staff_token)
        opened.bodies.update(asyncio.run(stocked(found, folder, 20 if bench.quick else 1_000)))
        yield opened


def settings_of(found: Services, secret: str, folder: Path) -> Settings:
    """Return the settings of a server on a free port, without limits of rate."""
    return Settings(
        port=free_port(),
        data_dir=folder,
        database_url=found.database_url,
        redis_url=found.redis_url,
        jwt_secret=secret,
        rate_limit=None,
        login_rate_limit=None,
    )


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment that gives a program these settings."""
    return environment(
        {
            "DAYBOOK_PORT": str(settings.port),
            "DAYBOOK_DATA_DIR": str(settings.data_dir),
            "DAYBOOK_DATABASE_URL": settings.database_url or "",
            "DAYBOOK_REDIS_URL": settings.redis_url or "",
            "DAYBOOK_JWT_SECRET": settings.jwt_secret or "",
            "DAYBOOK_RATE_LIMIT": "off",
            "DAYBOOK_LOGIN_RATE_LIMIT": "off",
        }
    )


def start(
    supervisor: Supervisor,
    name: str,
    command: Sequence[str],
    settings: Settings,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Start a server and wait until it answers."""
    supervisor.start(
        name,
        [sys.executable, *command],
        env={**variables(settings), **more},
        ready=lambda: programs.answers(settings),
    )


def customer(port: int) -> str:
    """Register somebody and return the access token."""
    who = {"email": "ada@daybook.example", "password": secrets.token_urlsafe(12)}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
        client.post("/users", json={**who, "name": "Ada"}).raise_for_status()
        answer = client.post("/auth/login", json=who).raise_for_status()
    return str(answer.json()["data"]["accessToken"])


def staff(port: int, settings: Settings) -> str:
    """Make somebody who may see everything and return the access token."""
    who = {"email": STAFF_EMAIL, "password": secrets.token_urlsafe(12)}
    given = {"DAYBOOK_ADMIN_EMAIL": who["email"], "DAYBOOK_ADMIN_PASSWORD": who["password"]}
    subprocess.run(
        [sys.executable, "-m", "daybook", "users", "create-admin", "--email", who["email"]],
        env=variables(settings) | given,
        capture_output=True,
        timeout=60,
        check=True,
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False) as client:
        answer = client.post("/auth/login", json=who).raise_for_status()
    return str(answer.json()["data"]["accessToken"])


async def stocked(found: Services, folder: Path, products: int) -> dict[str, Path]:
    """List products and write the orders of them: not tracked, spread over many, all of one."""
    async with operator_tools(found) as tools:
        untracked = await listed(tools, "untracked", None)
        one = await listed(tools, "hot", LARGEST_STOCK)
        many = [await listed(tools, f"spread-{n}", LARGEST_STOCK) for n in range(products)]
    return {
        "untracked": write_bodies(folder / "untracked", [untracked]),
        "spread": write_bodies(folder / "spread", many),
        "hot": write_bodies(folder / "hot", [one]),
    }


async def listed(tools: Tools, sku: str, stock: int | None) -> str:
    """Offer a product and return its id."""
    request = ListProduct(
        sku=sku, name="White hanging heart", price=Money(Decimal("2.55"), "GBP"), stock=stock
    )
    asker = msgspec.structs.replace(operator(), request_id=sku)
    return str((await execute(tools, asker, list_product, request)).id)
