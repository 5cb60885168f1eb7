"""The commands of the operators' verbs about reactions, by their words."""

from typing import Any

import msgspec

from commands.execution import Handler
from commands.projections.verbs import Verb
from commands.reactions.retry_reaction import RetryReaction, retry_reaction
from commands.reactions.skip_reaction import SkipReaction, skip_reaction

Deciding = tuple[type[msgspec.Struct], Handler[Any, None]]

COMMANDS: dict[str, Deciding] = {
    "retry": (RetryReaction, retry_reaction),
    "skip": (SkipReaction, skip_reaction),
}


def asked(verb: Verb, **given: object) -> tuple[Handler[Any, None], msgspec.Struct]:
    """Return what carries a verb out, and the command with what is given: the reaction first."""
    command, handler = COMMANDS[verb.word]
    return handler, command(**given)
