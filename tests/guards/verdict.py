"""What a run without a guard has shown."""

import enum
import re
from collections.abc import Sequence

from tests.guards.guard import Guard
from tests.guards.witness import Seen

TIMEOUT = "from pytest-timeout"


class Verdict(enum.Enum):
    """How a guard's test went when the guard was out; only `RED` is as it must be."""

    RED = "red"
    GREEN = "green: the test does not see that the guard is gone"
    ELSEWHERE = "red elsewhere: not at the line that was named"
    HUNG = "hung: waited for what never came, and shows nothing"
    NOT_RUN = "not run: pytest came to no end, found no such test, or skipped it"


def verdict(guard: Guard, seen: Sequence[Seen]) -> Verdict:
    """Judge by what was seen of the guard's test, or of all its parameters: one red is enough."""
    calls = [one for one in seen if one.phase == "call" and one.outcome != "skipped"]
    failed = [one for one in calls if one.outcome == "failed"]
    if any(is_at(guard.red_at, one.told) and not hung(one) for one in failed):
        return Verdict.RED
    if any(map(hung, failed)):
        return Verdict.HUNG
    if any(one.outcome == "failed" for one in seen):
        return Verdict.ELSEWHERE
    return Verdict.GREEN if calls else Verdict.NOT_RUN


def is_at(line: str, told: str) -> bool:
    """Tell whether pytest marked a line that begins so, in the test or in what it calls."""
    return re.search(rf"^> +{re.escape(line)}", told, re.MULTILINE) is not None


def hung(one: Seen) -> bool:
    """Tell whether a failure is that of pytest's clock."""
    return TIMEOUT in one.told
