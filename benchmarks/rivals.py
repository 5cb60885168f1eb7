"""Two rivals that do the same job without Daybook, on the same Postgres under the same load."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import load
from benchmarks.bench import RESULTS, ROOT, Bench, environment, free_port, listens
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Order
from benchmarks.placing_orders import connections, finding, in_turn
from benchmarks.postgres import Postgres, running_postgres
from benchmarks.shop import shop
from daybook.processes.supervisor import Supervisor

PART = "rivals"
CONNECTIONS = (8, 32, 128)
EMMETT, PACKAGE = "Emmett on Fastify", "eventsourcing's recorder on Litestar"
TARGETS = {
    EMMETT: {8: 1.0, 32: 2.0, 128: 2.0},
    PACKAGE: dict.fromkeys(CONNECTIONS, 8.0),
}
INSTALL_SECONDS = 180


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure ours and theirs in turn."""
    given = os.environ.get("DAYBOOK_PEERS")
    peers = Path(given) if given else ROOT.parent / "shared" / "peers"
    reason = load.missing()
    if reason is None and not peers.is_dir():
        reason = f"There is no folder {peers}: set DAYBOOK_PEERS to that of the rivals."
    if reason:
        yield Skipped(PART, "the rivals", reason)
        return
    with running_postgres(bench.folder / "cluster") as postgres, ExitStack() as stack:
        ours = stack.enter_context(shop(bench, postgres, "ours", noop=False))
        supervisor = stack.enter_context(Supervisor(bench.folder / "rivals"))
        order = ours.orders("untracked")
        sides = {"ours": lambda: order}
        started, skipped = started_rivals(bench, supervisor, postgres, peers)
        yield from skipped
        for name, port in started.items():
            theirs = replaced(order, port)
            sides[name] = lambda theirs=theirs: theirs  # type: ignore[misc]  # a default binds the loop's value
        results = in_turn(bench, sides, (8,) if bench.quick else CONNECTIONS, PART)
        for (name, count), answers in results.items():
            if name != "ours":
                yield finding(
                    f"one item, stock not tracked, {connections(count)}",
                    results["ours", count],
                    against=name,
                    base=answers,
                    target=TARGETS[name].get(count),
                    part=PART,
                )


def replaced(order: Order, port: int) -> Order:
    """Return the same order for another server."""
    return Order(f"http://127.0.0.1:{port}/orders", order.token, order.bodies)


def started_rivals(
    bench: Bench, supervisor: Supervisor, postgres: Postgres, peers: Path
) -> tuple[dict[str, int], list[Skipped]]:
    """Start those that are there; return their ports, and why others could not be."""
    ports: dict[str, int] = {}
    skipped: list[Skipped] = []
    for name, starts in ((EMMETT, start_emmett), (PACKAGE, start_package)):
        bench.say(f"{PART}: starting {name}")
        try:
            ports[name] = starts(supervisor, postgres, peers)
        except Exception as error:  # noqa: BLE001 - whatever keeps a rival from starting is told
            skipped.append(Skipped(PART, name, f"{type(error).__name__}: {error}"))
    return ports, skipped


def start_emmett(supervisor: Supervisor, postgres: Postgres, peers: Path) -> int:
    """Install the rival on Node beside the results, once, and start it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise RuntimeError("Node is not installed (Debian: apt-get install nodejs npm).")
    place = RESULTS / "peers" / "emmett"
    shutil.copytree(peers / "emmett", place, dirs_exist_ok=True)
    if not (place / ".installed").exists():
        install = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(install, cwd=place, check=True, timeout=INSTALL_SECONDS)
        (place / ".installed").touch()
    port = free_port()
    env = environment({"DATABASE_URL": postgres.create("emmett"), "PORT": str(port)})
    argv = [node, str(place / "app.mjs")]
    supervisor.start("emmett", argv, env=env, ready=lambda: listens(port))
    return port


def start_package(supervisor: Supervisor, postgres: Postgres, peers: Path) -> int:
    """Start the rival in Python under granian, with the settings that Daybook's server has."""
    port = free_port()
    env = environment({"DATABASE_URL": postgres.create("package")})
    env["PYTHONPATH"] = os.pathsep.join([str(peers), env["PYTHONPATH"]])
    options = {"--interface": "asgi", "--http": "1", "--loop": "uvloop", "--workers": "1"}
    argv = [sys.executable, "-m", "granian", "--no-ws", "--host", "127.0.0.1", "--port", str(port)]
    argv += [word for option in options.items() for word in option]
    argv += ["--log-level", "warning", "eventsourcing_app:app"]
    supervisor.start("package", argv, env=env, ready=lambda: listens(port))
    return port
