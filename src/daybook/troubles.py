"""What may go wrong for reasons outside of the program, as a sentence that says what to do."""

import psycopg

from daybook.order_file import FileRefused
from daybook.services import ServiceError
from domain.refusal import Refusal
from event_store.records import StoreUnavailable
from projections.engine import ProjectionFailed
from projections.rebuild import RebuildRunning

OURS = (ServiceError, FileRefused, ProjectionFailed, RebuildRunning)


def explain(error: Exception) -> str | None:
    """Return the sentence for an error, None if it is a fault of the program."""
    if isinstance(error, OURS):
        return str(error)
    if isinstance(error, Refusal):
        said = [error.message, *(f"{detail.field}: {detail.message}" for detail in error.details)]
        return " ".join(dict.fromkeys(said))
    if isinstance(error, StoreUnavailable):
        return f"{error} Is Postgres running? What was done so far is kept: run it again."
    if isinstance(error, psycopg.OperationalError):
        reason = " ".join(str(error).split())
        return f"Postgres cannot be used ({reason}). What was done so far is kept: run it again."
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return f"{error.filename} cannot be read: {error.strerror}."
    return None
