"""The command line of guards: options, a line for each guard, a table, the exit code."""

import argparse
import signal
from collections.abc import Sequence
from difflib import get_close_matches

from rich.console import Console
from rich.table import Table

from tests.guards.guard import Guard
from tests.guards.table import GUARDS
from tests.guards.trial import Bench, Trial, bench
from tests.guards.verdict import Verdict

LINES_TOLD = 40
STOPPED = 130


def main(arguments: Sequence[str]) -> int:
    """Run as the arguments say; return 1 unless each test went red where it must."""
    given = options().parse_args(arguments)
    guards = [one for one in GUARDS if not given.only or one.name in given.only]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if given.list:
        for guard in guards:
            console.print(f"{guard.name}: {guard.file}, kept by {guard.node}")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with bench() as ready:
            return tried(guards, ready, given.at_once, console)
    except KeyboardInterrupt:
        console.print("Stopped; nothing of it is left.")
        return STOPPED


def options() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(
        "guards",
        description="Take guards out of a copy of the program, one at a time: the test that each"
        " is kept by must then fail where the table says. Ends with 1 if one does not.",
    )
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", type=known, help="these guards alone")
    add("--list", action="store_true", help="print the guards and their tests")
    add("--at-once", type=int, default=2, metavar="N", help="so many at a time (%(default)s)")
    return parser


def tried(guards: Sequence[Guard], ready: Bench, at_once: int, console: Console) -> int:
    """Try guards and say how it went."""
    console.print(f"The tests of {len(guards)} guards, as the program is ...")
    whole = ready.whole(guards)
    passed = [one.test for one in whole.seen if one.phase == "call" and one.outcome == "passed"]
    absent = [one.test for one in guards if not any(name.startswith(one.node) for name in passed)]
    if whole.failed or absent:
        console.print(last_lines(whole.told))
        console.print(f"They must pass before a guard is taken out. Not run: {absent}")
        return 1
    trials = []
    for number, trial in enumerate(ready.trials(guards, at_once), 1):
        trials.append(trial)
        console.print(f"[{number}/{len(guards)}] {trial.guard.name}: {word(trial)}")
    console.print(table_of(trials))
    return judged(trials, console)


def table_of(trials: Sequence[Trial]) -> Table:
    """Return the trials as a table."""
    table = Table("guard", "without it", "seconds")
    for trial in trials:
        table.add_row(trial.guard.name, word(trial), f"{trial.seconds:.1f}")
    return table


def word(trial: Trial) -> str:
    """Say in a word how it went."""
    return trial.verdict.name.lower().replace("_", " ")


def judged(trials: Sequence[Trial], console: Console) -> int:
    """Say what is wrong, if anything is."""
    wrong = [trial for trial in trials if trial.verdict is not Verdict.RED]
    for trial in wrong:
        console.print(f"\n{trial.guard.name}: {trial.verdict.value}.\n{last_lines(trial.told)}")
    console.print(f"{len(trials) - len(wrong)} of {len(trials)} guards are kept by their tests.")
    return 1 if wrong else 0


def last_lines(text: str) -> str:
    """Return the end of a text."""
    return "\n".join(text.splitlines()[-LINES_TOLD:])


def known(name: str) -> str:
    """Return the name of a guard as it is given; refuse any other, and say which are like it."""
    names = [guard.name for guard in GUARDS]
    if name in names:
        return name
    like = [one for one in names if name in one] or get_close_matches(name, names)
    hint = f"did you mean {' or '.join(like)}?" if like else "--list shows them."
    raise argparse.ArgumentTypeError(f"there is no guard {name}: {hint}")
