"""How an answer in GraphQL is made: its errors have the codes of REST and show nothing internal."""

from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from graphql import GraphQLError

from api.errors import MALFORMED, OURS
from domain.refusal import Refusal
from event_store.records import StoreUnavailable
from projections.reading.views import ViewBehind

log = structlog.get_logger(__name__)

Shown = dict[str, Any]
AWAY = "The database gives no answer right now: try again in a moment."
BEHIND = "The view has not seen the position that was asked for: try again in a moment."
LONGEST_MESSAGE = 300


def shown(errors: Iterable[GraphQLError]) -> list[Shown]:
    """Return errors as clients see them."""
    return [shown_error(one) for one in errors]


def shown_error(error: GraphQLError) -> Shown:
    """Return an error as clients see it: what was asked wrongly, refused, or failed here."""
    code, message, details = told(error)
    found: Shown = {"message": message[:LONGEST_MESSAGE], "extensions": {"code": code}}
    if details:
        found["extensions"]["details"] = details
    if error.path:
        found["path"] = list(error.path)
    if error.locations:
        found["locations"] = [{"line": one.line, "column": one.column} for one in error.locations]
    return found


def told(error: GraphQLError) -> tuple[str, str, Any]:
    """Return the code of an error, what it says, and the fields at fault."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, Refusal):
        return cause.code, cause.message, msgspec.to_builtins(cause.details, str_keys=True)
    if isinstance(cause, ViewBehind):
        return "VIEW_BEHIND", BEHIND, None
    if isinstance(cause, StoreUnavailable):
        return "UNAVAILABLE", AWAY, None
    if cause is None or isinstance(cause, GraphQLError):
        return MALFORMED[0], error.message, None
    log.error("graphql_failed", exc_info=(type(cause), cause, cause.__traceback__))
    return *OURS, None
