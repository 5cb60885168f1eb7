"""A campaign: schemathesis' own engine, with all its phases and checks, as one role."""

import gc
import os
import random
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
from schemathesis import engine, openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.engine import events
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.generation.case import Case
from schemathesis.schemas import BaseSchema

from tests.fuzzing.exceptions import LEFT_OUT, reasons_for
from tests.fuzzing.people import Asker
from tests.stories.running import Running

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
# The few of `make test` are the same each time; `make fuzz` asks otherwise each time, and says how
# to ask the same again.
SEED = int(os.environ.get("FUZZ_SEED") or (random.randrange(1_000_000) if EXAMPLES else 1))  # noqa: S311 - not secret
STEPS = 24
PHASES = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Outcome:
    """What came of a campaign."""

    asked: Counter[str] = field(default_factory=Counter)
    linked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    excepted: Counter[str] = field(default_factory=Counter)
    problems: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say what was found wrong, else what was done."""
        if self.problems:
            return "\n\n".join(f"{' '.join(key)}\n{told}" for key, told in self.problems.items())
        statuses = ", ".join(f"{status} x{n}" for status, n in sorted(self.statuses.items()))
        lines = [f"{dict(self.asked)}; {statuses}"]
        lines.append(f"  {self.linked.total()} by {len(self.linked)} links and outcomes")
        lines += [f"  {n} x {why}" for why, n in sorted(self.excepted.items())]
        return "\n".join(lines)


def campaign(  # noqa: PLR0913 - what is asked, of which document, as whom, each by its name
    daybook: Running,
    document: str,
    role: str,
    *,
    examples: int = EXAMPLES,
    phases: Iterable[str] = PHASES,
    only: str = "",
) -> Outcome:
    """Ask whatever a document allows and forbids, as one role; `only` is a pattern of paths."""
    root = f"http://127.0.0.1:{daybook.port}"
    outcome = Outcome()
    schema: BaseSchema = openapi.from_dict(
        httpx.get(f"{root}{document}").json(), config=SchemathesisConfig(seed=SEED)
    )
    schema.config.update(base_url=root, continue_on_failure=True, request_timeout=30)
    schema.config.phases.update(phases=list(phases))
    schema.config.phases.stateful.max_steps = STEPS
    generation = schema.config.generation
    generation.max_examples, generation.deterministic, generation.database = examples, True, "none"
    if only:
        schema = schema.include(path_regex=only)
    schema = schema.exclude(lambda one: one.operation.label in LEFT_OUT)
    schema.auth.set_from_requests(Asker(daybook, role))

    def filter_failure(_: object, failure: Failure, case: Case, response: Response) -> bool:
        reasons = reasons_for(failure, case, response)
        outcome.excepted.update(reasons)
        return not reasons

    schema.hook(filter_failure)
    for event in engine.from_schema(schema).execute():
        note(outcome, event)
    with warnings.catch_warnings():
        # It leaves its connections to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    return outcome


def note(outcome: Outcome, event: events.EngineEvent) -> None:
    """Take from an event what came of it."""
    if isinstance(event, events.NonFatalError):
        outcome.problems["error", event.label, type(event.value).__name__] = str(event.value)
    elif isinstance(event, events.FatalError):
        outcome.problems["error", "engine", type(event.exception).__name__] = str(event.exception)
    elif isinstance(event, events.ScenarioFinished):
        note_requests(outcome, event.phase.value, event.recorder)
        note_links(outcome, event.recorder)
        note_failures(outcome, event.recorder)


def note_requests(outcome: Outcome, phase: str, recorded: ScenarioRecorder) -> None:
    """Count what was asked and how it was answered."""
    for one in recorded.interactions.values():
        outcome.asked[phase] += 1
        if one.response is not None:
            outcome.statuses[one.response.status_code] += 1


def note_links(outcome: Outcome, recorded: ScenarioRecorder) -> None:
    """Count the requests that took what they needed from an answer, as a link of ours says."""
    for identity, one in recorded.cases.items():
        done, link = recorded.interactions.get(identity), one.transition
        if link is None or link.is_inferred or not one.is_transition_applied:
            continue
        if done is not None and done.response is not None:
            outcome.linked[f"{link.id}: {done.response.status_code}"] += 1


def note_failures(outcome: Outcome, recorded: ScenarioRecorder) -> None:
    """Keep one failure of each kind, with how to see it again."""
    for identity, checks in recorded.checks.items():
        found = recorded.interactions.get(identity)
        answer = found.response if found is not None else None
        said = answer.content.decode("utf-8", "replace")[:500] if answer is not None else ""
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                key = (check.name, failure.operation, said_of(answer) or failure.title)
                told = f"{failure.message}\n{check.failure_info.code_sample}\n{said}"
                outcome.problems.setdefault(key, told)


def said_of(answer: Response | None) -> str:
    """Return what an answer refused, without what differs from one to the next."""
    try:
        error = answer.json()["error"] if answer is not None else {}
    except (ValueError, KeyError, TypeError):
        return ""
    details = ", ".join(f"{one['field']}: {one['message']}" for one in error.get("details", ()))
    return f"{error.get('code')} {details or error.get('message')}"
