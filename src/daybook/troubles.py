"""What may go wrong for reasons outside of the program, as a sentence that says what to do."""

import httpx
import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from daybook.importing.order_file import FileRefused
from daybook.migrate import NewerDatabase
from daybook.services import ServiceError
from domain.refusal import Refusal
from event_store.event_types import UnknownEvent
from event_store.evidence.notes import BadNote
from event_store.records import StoreUnavailable
from projections.posting.post_page import ProjectionFailed
from projections.rebuilds.rebuild import RebuildRunning

REFUSED = (Refusal, ProjectionFailed, RebuildRunning)
OURS = (
    ServiceError,
    FileRefused,
    NewerDatabase,
    ProjectionFailed,
    RebuildRunning,
    UnknownEvent,
    BadNote,
)
NOT_ALLOWED = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)
AGAIN = "What was done so far is kept: run the command again."


def explain(error: BaseException | None) -> str | None:  # noqa: PLR0911 - a sentence for each kind
    """Return the sentence for an error, None if it is a fault of the program."""
    match error:
        case DBAPIError():
            return explain(error.orig)
        case Refusal():
            said = [error.message, *(one.message for one in error.details)]
            return " ".join(dict.fromkeys(said))
        case StoreUnavailable():
            return f"Postgres gives no answer: see that it runs. {AGAIN}"
        case psycopg.OperationalError():
            return f"Postgres cannot be used ({flat(error)}): see that it runs. {AGAIN}"
        case _ if isinstance(error, NOT_ALLOWED):
            return f"Postgres does not allow it ({flat(error)}): connect as the database's owner."
        case httpx.HTTPError():
            return f"The API gives no answer ({flat(error)}): see that it runs."
        case OSError(strerror=str(), filename=filename):
            return f"{filename or 'A file'} cannot be used: {error.strerror}."
    return str(error) if isinstance(error, OURS) else None


def flat(error: BaseException) -> str:
    """Return what an error says in one line."""
    return " ".join(str(error).split()).rstrip(".")
