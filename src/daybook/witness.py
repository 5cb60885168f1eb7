"""A witness of the log: an address elsewhere that is sent each newly signed head, to keep it."""

import time
from http.client import HTTPException
from urllib.request import Request, urlopen

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.evidence.access_chain import newest_access_note
from event_store.evidence.heads import newest_note

PATIENCE_SECONDS = 5.0
SECONDS_TO_LEAVE_IT_ALONE = 30.0

log = structlog.get_logger(__name__)


class Witness:
    """Sends heads as they are published (`text/plain`); what is not taken is sent again later."""

    def __init__(self, url: str | None) -> None:
        """Without an address nobody is told."""
        self._url = url
        self._taken: set[str] = set()
        self._alone_until = float("-inf")

    def tell(self, connection: Connection[TupleRow]) -> None:
        """Send the newest head of the log, and that of the records of who asked what, if new."""
        if self._url is None or time.monotonic() < self._alone_until:
            return
        newest = {newest_note(connection), newest_access_note(connection)} - {None}
        try:
            for note in sorted(str(one) for one in newest - self._taken):
                self._send(self._url, note)
                self._taken.add(note)
        except (OSError, HTTPException) as error:
            self._alone_until = time.monotonic() + SECONDS_TO_LEAVE_IT_ALONE
            log.warning("witness_away", error=str(error))
        self._taken &= newest

    def _send(self, url: str, note: str) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        request = Request(url, note.encode(), headers, method="POST")  # noqa: S310 - http or https, as the settings say
        with urlopen(request, timeout=PATIENCE_SECONDS):  # noqa: S310 - as above
            pass
