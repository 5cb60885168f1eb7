"""What operators may ask of a projection: the word for it, and what is meant by it.

The URLs, their documentation and the command line are made of these. Nothing else is loaded with
them, so that help comes at once; `by_word` has the commands themselves.
"""

from typing import NamedTuple


class Verb(NamedTuple):
    """A word of URLs and of the command line.

    `is_stateful`: it may be refused for what was asked before. `question`: what a person at a
    terminal is asked first, with the projection's name in it.
    """

    word: str
    title: str
    tells: str
    is_stateful: bool = False
    question: str = ""


PAUSE = Verb(
    "pause",
    "Pause a projection",
    "Let the view stand still; it is read as it is, and says how far it has seen.",
    is_stateful=True,
)
RESUME = Verb(
    "resume", "Resume a projection", "Let the view follow the log again.", is_stateful=True
)
REBUILD = Verb(
    "rebuild",
    "Rebuild a projection",
    "Make the view anew beside the live one, which is read meanwhile, and swap it in.",
    is_stateful=True,
)
COMPARE = Verb(
    "compare",
    "Compare a projection",
    "Find out whether the view holds what the log says: a rebuild that is dropped at its end.",
    is_stateful=True,
)
THROTTLE = Verb(
    "throttle", "Throttle a rebuild", "Let the rebuild under way work in a share of the time."
)
SWAP = Verb("swap", "Swap a rebuild in", "Swap the rebuild in that was held.")
CANCEL = Verb(
    "cancel",
    "Cancel a rebuild",
    "Give the rebuild under way up; the live view stays as it is.",
    question="Give up the rebuild of {}?",
)
ROLL_BACK = Verb(
    "rollback",
    "Roll a projection back",
    "Read the tables from before the last swap again.",
    is_stateful=True,
    question="Put the former tables of {} back?",
)
PRUNE = Verb(
    "prune",
    "Prune a projection",
    "Drop the tables that were kept for a rollback.",
    is_stateful=True,
    question="Drop the former tables of {}? No rollback is possible then.",
)
RETRY_ALL = Verb("retry", "Retry all failures", "Apply again all that is parked, in order.")
RETRY = Verb(
    "retry",
    "Retry a failure",
    "Apply again what is parked behind the event at a position, in order.",
)
SKIP = Verb(
    "skip",
    "Skip a failure",
    "Leave the event at a position out of the view for good, and apply what waits behind it.",
)
