"""The load: orders that wrk sends over one thread and some connections."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import msgspec

from benchmarks.bench import environment

SCRIPT = Path(__file__).with_name("place_order.lua")
MISSING = "wrk is not installed (Debian: apt-get install wrk; macOS: brew install wrk)."


class Order(msgspec.Struct, frozen=True):
    """What is sent: to where, as whom, which bodies in turn, and of how many one is an account."""

    url: str
    token: str
    bodies: Path
    accounts: int = 0


class Answered(msgspec.Struct, frozen=True):
    """What came back: requests, those answered 4xx or 5xx or not at all, percentiles in ms."""

    requests: int
    microseconds: int
    refused: int
    broken: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Successes a second."""
        return (self.requests - self.refused) / self.microseconds * 1e6


def missing() -> str | None:
    """Say why there can be no load, if so."""
    return None if shutil.which("wrk") else MISSING


def command(order: Order, connections: int, seconds: float) -> list[str]:
    """Return the command that sends orders."""
    limits = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    return ["wrk", *limits, "--latency", "-s", str(SCRIPT), order.url]


def variables(order: Order, pause_ms: int = 0) -> dict[str, str]:
    """Return the environment of the script."""
    return environment(
        {
            "TOKEN": order.token,
            "BODIES": str(order.bodies),
            "KEY_PREFIX": f"{uuid.uuid4().hex}-",
            "PAUSE": str(pause_ms),
            "ACCOUNTS": str(order.accounts),
        }
    )


def send(order: Order, connections: int, seconds: float) -> Answered:
    """Send orders as fast as they are answered; RuntimeError if any was not a success."""
    answered = crowd(order, connections, seconds)
    if answered.refused or answered.broken:
        raise RuntimeError(f"{order.url}: not all orders were accepted: {answered}")
    return answered


def crowd(order: Order, connections: int, seconds: float) -> Answered:
    """Send orders as fast as they are answered, with whatever."""
    return sent(order, connections, seconds, pause_ms=0)


def sent(order: Order, connections: int, seconds: float, pause_ms: int) -> Answered:
    """Send orders, on each connection with pauses of so long on average; answered with whatever."""
    done = subprocess.run(
        command(order, connections, seconds),
        env=variables(order, pause_ms),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    return result(done.stdout)


def result(output: str) -> Answered:
    """Read what the script prints at its end."""
    return msgspec.json.decode(output.rpartition("RESULT ")[2], type=Answered)


def write_bodies(path: Path, product_ids: list[str]) -> Path:
    """Write a file of orders, each of one of the products in turn."""
    lines = [f'{{"items":[{{"productId":"{key}","quantity":1}}]}}\n' for key in product_ids]
    path.write_text("".join(lines), encoding="utf-8")
    os.sync()
    return path
