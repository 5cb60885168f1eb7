"""Records of sign-ins over HTTP: for auditors, newest first, by what they ask."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.api.conftest import Person, refused

PATH = "/audit/sign-ins"
USER = UUID("019abcde-0000-7000-8000-00000000ada0")


@pytest.fixture(scope="module", autouse=True)
def recorded(database_url: str) -> None:
    """Record seven sign-ins, a day each, of two users."""
    with psycopg.connect(database_url) as connection:
        connection.execute("truncate sign_ins restart identity")
        for day in range(1, 8):
            connection.execute(
                "insert into sign_ins"
                " (at, kind, account, user_id, network, address, agent, request_id)"
                " values (%s, %s, %s, %s, 'n', %s, 'browser', %s)",
                [
                    f"2026-11-0{day}T12:00:00Z",
                    "failed" if day % 3 == 0 else "signed_in",
                    "a" * 64,
                    USER if day % 2 else uuid4(),
                    f"198.51.100.{day}",
                    f"request-{day}",
                ],
            )


def asked(person: Person, query: str = "") -> Any:
    answer = person.ask("GET", f"{PATH}{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def days(body: Any) -> list[int]:
    return [int(one["requestId"].removeprefix("request-")) for one in body["data"]]


def test_auditors_see_everything_newest_first(auditor: Person) -> None:
    body = asked(auditor)
    assert days(body) == [7, 6, 5, 4, 3, 2, 1]
    assert body["pagination"] == {"next": None, "prev": None, "limit": 20}
    assert body["data"][0] == {
        "at": "2026-11-07T12:00:00.000Z",
        "kind": "signed_in",
        "userId": str(USER),
        "sessionId": None,
        "account": "a" * 64,
        "address": "198.51.100.7",
        "agent": "browser",
        "requestId": "request-7",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?kind=failed", [6, 3]),
        (f"?userId={USER}", [7, 5, 3, 1]),
        (f"?userId={USER}&kind=failed", [3]),
        ("?address=198.51.100.4", [4]),
        (f"?account={'a' * 64}&limit=2", [7, 6]),
        ("?from=2026-11-03&to=2026-11-05", [5, 4, 3]),
        ("?from=2026-11-06T12:00:00.001Z", [7]),
        ("?address=198.51.100.%25", []),
    ],
)
def test_questions_are_answered_exactly(auditor: Person, query: str, found: list[int]) -> None:
    assert days(asked(auditor, query)) == found


def test_a_cursor_leads_through_all_and_back(auditor: Person) -> None:
    first = asked(auditor, "?limit=3")
    assert days(first) == [7, 6, 5]
    assert first["pagination"]["prev"] is None
    second = asked(auditor, f"?limit=3&cursor={first['pagination']['next']}")
    third = asked(auditor, f"?limit=3&cursor={second['pagination']['next']}")
    assert (days(second), days(third)) == ([4, 3, 2], [1])
    assert third["pagination"]["next"] is None
    back = asked(auditor, f"?limit=3&cursor={third['pagination']['prev']}")
    assert days(back) == [4, 3, 2]
    start = asked(auditor, f"?limit=3&cursor={back['pagination']['prev']}")
    assert days(start) == [7, 6, 5]
    assert start["pagination"]["prev"] is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "A" * 64])
def test_a_made_up_cursor_is_refused(auditor: Person, cursor: str) -> None:
    refused(auditor.ask("GET", f"{PATH}?cursor={cursor}"), 400, "MALFORMED_REQUEST")


def test_a_cursor_holds_for_the_question_that_it_was_given_for(auditor: Person) -> None:
    cursor = asked(auditor, "?limit=1")["pagination"]["next"]
    refused(auditor.ask("GET", f"{PATH}?kind=failed&cursor={cursor}"), 400, "MALFORMED_REQUEST")
