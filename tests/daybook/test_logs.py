"""Logs: one JSON object a line whatever is in it, and nothing that must not be kept (S32)."""

import json
import subprocess
import sys
from uuid import UUID

import pytest

from api.tokens import Claims, Tokens
from commands.sessions.tokens import new_token
from daybook.logs import masked

ID = UUID(int=7)
SCRIPT = """
import logging, structlog
from daybook.logs import configure_logs
configure_logs()
forged = 'x\\n{"event": "forged"}\\r\\n\\x1b[2J'
structlog.get_logger("a").info("told", path=forged)
logging.getLogger("library").warning("said %s", forged)
try:
    raise ValueError("Key (email)=(ada.lovelace@example.com) already exists.\\n" + forged)
except ValueError:
    logging.getLogger("library").exception("failed")
"""


def test_no_input_forges_a_line_or_shows_an_address() -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    lines = told.stderr.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events[0] == "told"
    assert len(events) == 3
    assert "forged" not in events
    assert "ada" not in told.stderr
    assert "***@example.com" in told.stderr
    assert "\x1b" not in told.stderr


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("ada@example.com", "***@example.com"),
        ('{"to": "Ada <ada+shop@mail.example.com>"}', '{"to": "Ada <***@mail.example.com>"}'),
        ("x=a.b@example.com,c@example.org", "x=***@example.com,***@example.org"),
        ("postgresql://me@db.internal/x", "postgresql://***@db.internal/x"),
        ("no address @ all", "no address @ all"),
    ],
)
def test_addresses_of_people_are_masked(line: str, shown: str) -> None:
    assert masked(line) == shown


def test_tokens_are_masked() -> None:
    access = Tokens({"a": b"1" * 32}, "a").issue(Claims(ID, ID, "customer", 1))
    refresh = new_token(ID)
    line = json.dumps({"header": f"Bearer {access}", "body": {"refreshToken": refresh}})
    shown = masked(line)
    assert access.split(".")[1] not in shown
    assert refresh not in shown
    assert json.loads(shown) == {"header": "Bearer ***", "body": {"refreshToken": "***"}}
