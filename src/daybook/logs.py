"""How the programs log: one JSON object a line on standard error, so that input forges no line."""

import logging
import sys
import time

import structlog

SECONDS_BETWEEN_WARNINGS = 30.0
# These say the same with every attempt while a service is away.
INSISTENT = ("dramatiq", "psycopg")


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


def configure_logs() -> None:
    """Set structlog up for this process, and send the libraries' records the same way."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    handler.addFilter(Seldom().filter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
