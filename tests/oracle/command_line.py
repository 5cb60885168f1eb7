"""The oracle's command line: options, a bar while it runs, the report, the exit code."""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.oracle.crew import Unfinished
from tests.oracle.plan import Plan
from tests.oracle.report import Report
from tests.oracle.trial import run


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say; return 1 if a promise was broken."""
    plan = Plan(**vars(options().parse_args(arguments)))
    console = Console()
    try:
        report = watched(plan, console)
    except Unfinished as error:
        console.print(f"The run did not come to its end: {error}", markup=False)
        return 2
    for line in report.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0 if report.kept else 1


def options() -> argparse.ArgumentParser:
    """Return the options; their defaults are the long run."""
    parser = argparse.ArgumentParser("oracle", description=__doc__)
    add = parser.add_argument
    add("--events", type=int, default=10_000_000, help="how many to append (%(default)s)")
    add("--writers", type=int, default=3, help="writing processes (%(default)s)")
    add("--readers", type=int, default=3, help="reading processes (%(default)s)")
    add("--clients", type=int, default=48, help="requests at once in a writer (%(default)s)")
    add("--seconds", type=float, default=36_000.0, help="end after so many (%(default)s)")
    add("--pause", type=float, default=4.0, help="mean seconds between faults (%(default)s)")
    add("--seed", type=int, default=1, help="of the requests and the faults (%(default)s)")
    add(
        "--recorder",
        choices=("daybook", "unlocked", "unsafe"),
        default="daybook",
        help="ours; ours without its lock; the fast mode of the package eventsourcing",
    )
    return parser


def watched(plan: Plan, console: Console) -> Report:
    """Run a plan behind a progress bar."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} events/s, {task.fields[faults]} faults"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=plan.events, rate=0.0, faults=0)

        def show(acknowledged: int, faults: dict[str, int]) -> None:
            rate = acknowledged / (progress.tasks[0].elapsed or 1.0)
            done = min(acknowledged, plan.events)
            progress.update(task, completed=done, rate=rate, faults=sum(faults.values()))

        return run(plan, show)
