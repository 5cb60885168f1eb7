"""What encryption costs: accounts registered, accounts changed, orders placed, accounts read back.

Each against the same events with their personal fields as plain text, on the same Postgres.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

import msgspec
import uvloop

from benchmarks import load
from benchmarks.append_process import WAITING, command_on, order_placed
from benchmarks.auditing import keeping
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.postgres import Postgres, running_postgres
from benchmarks.shop import Serve, shop
from commands.identifiers import new_id
from domain.user import UserRegistered, UserRenamed
from event_store.connections import connect
from event_store.event_types import names_of
from event_store.privacy.keyring import Keyring
from event_store.privacy.master_keys import LocalMasterKeys
from event_store.reading import head, page
from event_store.records import Append, Audit, Claim, StreamChange
from event_store.store import EventStore

PART = "privacy"
NAMES = names_of([UserRegistered, UserRenamed])
PAGE = 2_000
PAGES = 5
ACCOUNTS = 50
CONNECTIONS = 32
HASH = "$argon2id$v=19$m=19456,t=2,p=1$twau2LakzGpdrT9yIhQlgQ$YgiNZH1j2egAlud/85IhlpbkaRopWTJ9Z"
AT_LEAST = 0.9  # encryption and the tree together may cost a tenth

Appending = Callable[[Append], Awaitable[object]]
Make = Callable[[int], Append]


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure on two logs, one encrypted, in turn."""
    with running_postgres(bench.folder / "cluster") as postgres:
        urls = [postgres.create_log("sealed"), postgres.create_log("plain")]
        yield from uvloop.run(findings(bench, *urls))
        yield write_path(bench, postgres)


def write_path(bench: Bench, postgres: Postgres) -> Finding | Skipped:
    """Post orders and accounts to two servers on one log, one of which does not encrypt.

    While the other one is measured a notary keeps tree, heads and index, as each worker's does.
    """
    what = f"orders over HTTP, one in {ACCOUNTS} a registration, with encryption and the tree"
    if reason := load.missing():
        return Skipped(PART, what, reason)
    bench.say(f"{PART}: the write path")
    others = {"unsealed": Serve("benchmarks.unsealed_app")}
    with shop(bench, postgres, "shop", noop=False, others=others) as open_shop:
        url = open_shop.services.database_url
        orders = open_shop.orders("untracked")
        port, unsealed = (open_shop.ports[name] for name in ("daybook", "unsealed"))
        both = msgspec.structs.replace(orders, accounts=ACCOUNTS)
        neither = msgspec.structs.replace(both, url=both.url.replace(f":{port}/", f":{unsealed}/"))
        rates: tuple[list[float], list[float]] = ([], [])
        for order in (both, neither):
            load.send(order, CONNECTIONS, 1)
        for _ in range(2 * bench.rounds):
            with keeping(url, bench.folder / "audit"):
                rates[0].append(load.send(both, CONNECTIONS, bench.seconds).rate)
            postgres.settle()
            rates[1].append(load.send(neither, CONNECTIONS, bench.seconds).rate)
            postgres.settle()
    return Finding(
        part=PART, what=what, unit="commands/s", values=rates[0], against="neither of them",
        base=rates[1], target=AT_LEAST,
    )  # fmt: skip


async def findings(bench: Bench, sealed_url: str, plain_url: str) -> list[Finding]:
    """Append, then read."""
    keys = Keyring(LocalMasterKeys(lambda: ["a-master-key-for-benchmarks-0123456789"]))
    sealed = EventStore(sealed_url, keys=keys, on_append=lambda _: None)
    plain = EventStore(plain_url, keys=keys, on_append=lambda _: None)
    await sealed.open()
    await plain.open()
    # What the store does before it appends is what is measured: the other side goes without it.
    sides: list[Appending] = [sealed.append, plain._appender.append]  # noqa: SLF001
    rates: dict[str, list[list[float]]] = {}
    for _ in range(bench.rounds):
        people = [await people_of(side) for side in sides]
        for what, makes in (
            ("users registered", [registering, registering]),
            ("users renamed", [renaming(people[0]), renaming(people[1])]),
            ("orders placed", [placing(), placing()]),
        ):
            both = rates.setdefault(what, [[], []])
            for number, (side, make) in enumerate(zip(sides, makes, strict=True)):
                both[number].append(await rate(side, make, bench.seconds))
    await sealed.close()
    await plain.close()
    found = [
        Finding(
            part=PART, what=what, unit="/s", values=values, against="plain", base=base,
            target=AT_LEAST if what == "orders placed" else None,
        )
        for what, (values, base) in rates.items()
    ]  # fmt: skip
    return [*found, *folded(bench, keys, sealed_url, plain_url)]


def folded(bench: Bench, keys: Keyring, sealed_url: str, plain_url: str) -> Iterator[Finding]:
    """Measure pages of user events, with keys to be fetched and with keys in memory."""
    times: dict[str, list[float]] = {"fetched": [], "known": [], "plain": []}
    for _ in range(bench.rounds):
        times["plain"].append(read(plain_url, keys))
        fresh = Keyring(keys.master)
        times["fetched"].append(read(sealed_url, fresh))
        times["known"].append(read(sealed_url, fresh))
    for how in ("fetched", "known"):
        yield Finding(
            part=PART,
            what=f"a user's event read, keys {how}",
            unit="us",
            values=times[how],
            against="plain",
            base=times["plain"],
        )


def read(url: str, keys: Keyring) -> float:
    """Return the microseconds for each event of the first pages of users."""
    with connect(url, name="bench") as connection:
        end, after, events = head(connection), 0, 0
        started = time.perf_counter()
        for _ in range(PAGES):
            upto = min(end, after + PAGE)
            events += len(page(connection, after, upto, NAMES, keys))
            after = upto
        return (time.perf_counter() - started) * 1e6 / max(events, 1)


async def rate(append: Appending, make: Make, seconds: float) -> float:
    """Return how many commands a second are appended with so many waiting."""
    numbers, done = iter(range(10**9)), 0
    started = time.perf_counter()

    async def keep_appending() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            await append(make(next(numbers)))
            done += 1

    await asyncio.gather(*(keep_appending() for _ in range(WAITING)))
    return done / (time.perf_counter() - started)


async def people_of(append: Appending) -> list[UUID]:
    """Register as many people as will wait."""
    made = [registering(number) for number in range(WAITING)]
    await asyncio.gather(*map(append, made))
    return [one.changes[0].stream_id for one in made]


def registering(_: int) -> Append:
    """Return a command that opens an account, its password hashed already."""
    user_id = new_id()
    email = f"{user_id.hex}@example.com"
    event = UserRegistered(email, "Ada Lovelace", HASH, "customer")
    change = StreamChange(user_id, "user", 0, (event,), subject=user_id)
    claims = (Claim("user.email", email, user_id, personal=True),)
    return Append(new_id(), audit(user_id, "RegisterUser"), (change,), claims)


def renaming(people: list[UUID]) -> Make:
    """Return what changes the accounts one after the other, each when its turn comes."""
    versions = dict.fromkeys(people, 1)

    def make(number: int) -> Append:
        user_id = people[number % len(people)]
        version = versions[user_id]
        versions[user_id] = version + 1
        event = UserRenamed(f"Ada {number}")
        change = StreamChange(user_id, "user", version, (event,), subject=user_id)
        return Append(new_id(), audit(user_id, "ChangeUser"), (change,))

    return make


def placing() -> Make:
    """Return what places orders: nothing personal is in them."""
    events = [order_placed() for _ in range(1_000)]
    return lambda number: command_on(new_id(), 0, events[number % len(events) :][:1])


def audit(user_id: UUID, command: str) -> Audit:
    """Return the audit columns of a person's command."""
    return Audit(
        actor_id=str(user_id),
        actor_role="customer",
        request_id=user_id.hex,
        correlation_id=user_id.hex,
        command=command,
    )
