"""What sees requests, commands, appends and pages: counters, and spans where they are wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from psycopg import Connection
from psycopg.rows import TupleRow

from api.application import Layer
from commands.execution import Execute, execute
from daybook.metrics import Measured, Metrics, measured
from daybook.settings import Settings
from event_store.privacy.keyring import Keyring
from event_store.store import EventStore
from projections.posting.engine import post_held
from projections.posting.leases import Crew
from projections.posting.pages import Pages
from projections.projection import Projection

Told = Callable[[int], None]
Post = Callable[[Connection[TupleRow], Projection, Crew, Pages], int]


@dataclass
class Observation:
    """Layers around everything, what carries out commands, and what makes the log of an address."""

    layers: list[Layer]
    execute: Execute
    store: Callable[[str, Keyring, Told], EventStore]


def observed(settings: Settings, metrics: Metrics) -> Observation:
    """Return what counts all there is, and makes spans of it where the settings say so."""
    layers: list[Layer] = [lambda app: Measured(app, metrics)]
    carry_out = measured(execute, metrics)
    if settings.traces_url is None:
        return Observation(layers, carry_out, store_of)
    check_installed()
    from daybook import tracing  # noqa: PLC0415 - where it is off it need not be installed

    tracer = tracing.tracer_to(settings.traces_url, "daybook-api")
    return Observation(
        [*layers, lambda app: tracing.Traced(app, tracer)],
        tracing.traced(carry_out, tracer),
        lambda url, keys, told: tracing.TracedStore(url, tracer, keys=keys, on_append=told),
    )


def store_of(database_url: str, keys: Keyring, told: Told) -> EventStore:
    """Return the log; `told` hears of each append."""
    return EventStore(database_url, keys=keys, on_append=told)


def posting(settings: Settings) -> Post:
    """Return what posts pages, in spans where the settings say so."""
    if settings.traces_url is None:
        return post_held
    check_installed()
    from daybook import tracing  # noqa: PLC0415 - where it is off it need not be installed

    return tracing.posting_traced(
        post_held, tracing.tracer_to(settings.traces_url, "daybook-worker")
    )


def check_installed() -> None:
    """End with a sentence where spans are wanted and cannot be made."""
    if find_spec("opentelemetry.sdk") is None:
        raise SystemExit("DAYBOOK_TRACES_URL needs more packages: pip install daybook[tracing].")
