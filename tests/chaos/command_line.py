"""The command line of chaos: options, a bar while it runs, the report, the exit code."""

import argparse
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.chaos.trial import PLANTED, Plan, Report, run


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say; return 1 if a promise was broken."""
    given = options().parse_args(arguments)
    plan = Plan(
        given.seconds,
        given.shoppers,
        given.pause,
        given.seed,
        given.plant,
        parting=given.parting,
        rabbitmq=given.rabbitmq,
    )
    console = Console()
    for line in (report := watched(plan, console)).lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 1 if report.broken else 0


def options() -> argparse.ArgumentParser:
    """Return the options; their defaults are the long run."""
    parser = argparse.ArgumentParser("chaos", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=300.0, help="how long people shop (%(default)s)")
    add("--shoppers", type=int, default=8, help="how many shop at once (%(default)s)")
    add("--pause", type=float, default=2.0, help="mean seconds between faults (%(default)s)")
    add("--seed", type=int, default=1, help="of what is bought and done (%(default)s)")
    add("--plant", choices=("nothing", *PLANTED), default="nothing", help="a fault to be found")
    add("--parting", action="store_true", help="a third worker, whose network to Postgres parts")
    add("--rabbitmq", action="store_true", help="wake-ups over RabbitMQ, which is restarted too")
    return parser


def watched(plan: Plan, console: Console) -> Report:
    """Run a plan behind a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=plan.seconds)
        began: list[float] = []

        def watch(orders: int, faults: Counter[str]) -> None:
            began.append(time.monotonic()) if not began else None
            done = time.monotonic() - began[0]
            told = f"{orders:,} orders, {faults.total()} faults"
            progress.update(task, completed=done, description=told)

        return run(plan, watch)
