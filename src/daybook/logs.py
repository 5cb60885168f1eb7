"""How the programs log: one JSON object a line on standard error, so that input forges no line."""

import logging
import re
import sys
import time

import structlog

SECONDS_BETWEEN_WARNINGS = 30.0
# These say the same with every attempt while a service is away.
INSISTENT = ("dramatiq", "pika", "psycopg")


# What must never be in a log, wherever it comes from (a message of Postgres, a path, a library):
# addresses of people, access tokens, refresh tokens.
EMAIL = re.compile(r"[^\s\"'<>(),:;=/@\\]+@(?=[^\s\"'<>(),:;=/@\\]+\.)")
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|\b[0-9a-f]{32}\.[\w-]{43}\b")


class Seldom:
    """Says yes to a thing at once, then at most twice a minute: so that no outage fills the log."""

    def __init__(self) -> None:
        self._said: dict[object, float] = {}

    def due(self, what: object) -> bool:
        """Tell whether it is time to say this, again or for the first time."""
        now = time.monotonic()
        last = self._said.get(what)
        if last is not None and now - last < SECONDS_BETWEEN_WARNINGS:
            return False
        self._said[what] = now
        return True

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass unless its library insists."""
        return not record.name.startswith(INSISTENT) or self.due((record.name, str(record.msg)))


RENDERER = structlog.processors.JSONRenderer()


def rendered(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    """Return a log line: JSON, without the names in e-mail addresses and without tokens."""
    return masked(str(RENDERER(logger, method, event)))


def masked(line: str) -> str:
    """Return a line without what must not be in a log."""
    return TOKEN.sub("***", EMAIL.sub("***@", line) if "@" in line else line)


def configure_logs(least: int = logging.INFO) -> None:
    """Set structlog up for this process, and send the libraries' records the same way.

    `least`: the level from which on something is said.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                rendered,
            ],
            foreign_pre_chain=shared,
        )
    )
    handler.addFilter(Seldom().filter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
