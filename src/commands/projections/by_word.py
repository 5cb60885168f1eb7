"""The commands of the operators' verbs, by their words."""

from typing import Any

import msgspec

from commands.execution import Handler
from commands.projections.asking import Operation
from commands.projections.cancel_rebuild import CancelRebuild, cancel_rebuild
from commands.projections.pause_projection import PauseProjection, pause_projection
from commands.projections.prune_projection import PruneProjection, prune_projection
from commands.projections.rebuild_projection import RebuildProjection, rebuild_projection
from commands.projections.resume_projection import ResumeProjection, resume_projection
from commands.projections.retry_failures import RetryFailures, retry_failures
from commands.projections.roll_back_projection import RollBackProjection, roll_back_projection
from commands.projections.skip_failure import SkipFailure, skip_failure
from commands.projections.swap_rebuild import SwapRebuild, swap_rebuild
from commands.projections.throttle_rebuild import ThrottleRebuild, throttle_rebuild
from commands.projections.verbs import Verb

Asking = tuple[type[msgspec.Struct], Handler[Any, Operation]]

COMMANDS: dict[str, Asking] = {
    "pause": (PauseProjection, pause_projection),
    "resume": (ResumeProjection, resume_projection),
    "rebuild": (RebuildProjection, rebuild_projection),
    "compare": (RebuildProjection, rebuild_projection),
    "throttle": (ThrottleRebuild, throttle_rebuild),
    "swap": (SwapRebuild, swap_rebuild),
    "cancel": (CancelRebuild, cancel_rebuild),
    "rollback": (RollBackProjection, roll_back_projection),
    "prune": (PruneProjection, prune_projection),
    "retry": (RetryFailures, retry_failures),
    "skip": (SkipFailure, skip_failure),
}


def asked(verb: Verb, **given: object) -> tuple[Handler[Any, Operation], msgspec.Struct]:
    """Return what carries a verb out, and the command with what is given: the projection first."""
    command, handler = COMMANDS[verb.word]
    return handler, command(**given)
