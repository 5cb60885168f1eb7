"""What operators may decide about reactions: the word for it, and what is meant by it.

The URLs, their documentation and the command line are made of these, as of the projections' verbs.
"""

from commands.projections.verbs import Verb

RETRY_ALL = Verb(
    "retry",
    "Retry all that failed",
    "Try every failed event again, and end the pause of an outage.",
)
RETRY = Verb("retry", "Retry an event", "Try the effect of a failed event once more, now.")
SKIP = Verb(
    "skip",
    "Skip an event",
    "Let a failed event, or the one that the reaction waits before, have no effect.",
)
