"""Reactions over HTTP: what operators see of them, and how they decide."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.conftest import Client, Person, data_of, refused
from tests.api.read.conftest import client as both_sides  # noqa: F401 - a fixture
from tests.reactions.given import rows

PARK = """
    insert into reaction_failures (name, position, attempts, error, retry_at)
    values ('welcome_mail', 1, 3, '550 no such user', null),
           ('welcome_mail', 2, 1, '451 later', now() + interval '1 h')
"""
WHY = {"reason": "the box is there"}
DECIDED = """
    select name, actor_role, data ->> 'reaction', data ->> 'position', data ->> 'reason'
      from events where name like 'reaction.%%' order by position
"""


@pytest.fixture(scope="module")
def client(both_sides: Client) -> Client:  # noqa: F811 - the fixture
    """Give a client of both sides."""
    return both_sides


@pytest.fixture
def parked(database_url: str, admin: Person) -> Iterator[None]:  # noqa: ARG001 - makes two events
    """Let the welcome mail have failed for two events."""
    rows(database_url, PARK)
    yield
    rows(database_url, "delete from reaction_failures")


def test_every_reaction_is_listed_with_how_it_stands(admin: Person) -> None:
    found = {one["name"]: one for one in admin.ask("GET", "/reactions").json()["data"]}
    assert {"welcome_mail", "payment_deadline", "integration_events"} <= set(found)
    one = found["welcome_mail"]
    assert one["state"] in {"working", "up to date"}
    assert (one["failing"], one["parked"], one["failure"]) == (0, 0, None)
    assert data_of(admin.ask("GET", "/reactions/welcome_mail"))["name"] == "welcome_mail"
    refused(admin.ask("GET", "/reactions/cold_call"), 404, "NOT_FOUND")


@pytest.mark.usefixtures("parked")
def test_failures_are_listed_without_what_is_in_the_events(admin: Person) -> None:
    answer = admin.ask("GET", "/reactions/welcome_mail/failures?limit=1&page=2").json()
    [second] = answer["data"]
    assert (second["position"], second["attempts"], second["error"]) == (2, 1, "451 later")
    assert answer["pagination"]["total"] == 2
    first = data_of(admin.ask("GET", "/reactions/welcome_mail/failures/1"))
    assert (first["event"].partition(".")[0], first["retryAt"]) in {
        ("administrator", None),
        ("user", None),
    }
    assert "@" not in str(first)
    for nothing in ("3", "0", "99999999999999999999"):
        path = f"/reactions/welcome_mail/failures/{nothing}"
        refused(admin.ask("GET", path), 404, "NOT_FOUND")
    refused(admin.ask("GET", "/reactions/cold_call/failures"), 404, "NOT_FOUND")


@pytest.mark.usefixtures("parked")
def test_a_decision_is_accepted_and_kept_with_who_and_why(admin: Person, database_url: str) -> None:
    for act, position in (("1/retry", "1"), ("2/skip", "2"), ("retry", None)):
        answer = admin.ask("POST", f"/reactions/welcome_mail/failures/{act}", WHY)
        assert answer.status_code == 202
        assert answer.headers["retry-after"] == "1"
        said = answer.json()["data"]
        assert said["position"] == (position and int(position))
        where = answer.headers["location"].removeprefix("/api/v1")
        found = data_of(admin.ask("GET", where))
        assert (found["operationId"], found["action"]) == (said["operationId"], act.split("/")[-1])
        assert (found["reason"], len(found["askedBy"])) == (WHY["reason"], 36)
        assert (found["outcome"], found["role"]) == (None, "admin")
    listed = admin.ask("GET", "/reactions/welcome_mail/operations?limit=2").json()
    assert [one["action"] for one in listed["data"]] == ["retry", "skip"]
    assert listed["pagination"]["total"] == 3
    for nothing in ("welcome_mail/operations/1", "erasure/operations/3", "cold_call/operations",
                    "welcome_mail/operations/0"):  # fmt: skip
        refused(admin.ask("GET", f"/reactions/{nothing}"), 404, "NOT_FOUND")
    assert rows(database_url, DECIDED) == [
        (f"reaction.{name}_requested", "admin", "welcome_mail", position, WHY["reason"])
        for name, position in (("retry", "1"), ("skip", "2"), ("retry", None))
    ]


@pytest.mark.usefixtures("parked")
def test_what_did_not_fail_cannot_be_decided_about(admin: Person, database_url: str) -> None:
    before = rows(database_url, DECIDED)
    for path in ("welcome_mail/failures/3/skip", "cold_call/failures/1/retry",
                 "cold_call/failures/retry", "welcome_mail/failures/0/skip"):  # fmt: skip
        refused(admin.ask("POST", f"/reactions/{path}", WHY), 404, "NOT_FOUND")
    path = "/reactions/welcome_mail/failures/1/skip"
    refused(admin.ask("POST", path, {"reason": " "}), 422, "VALIDATION_ERROR")
    refused(admin.ask("POST", path, {}), 422, "VALIDATION_ERROR")
    assert rows(database_url, DECIDED) == before


@pytest.mark.usefixtures("parked")
def test_a_repeated_decision_is_answered_alike_once_nothing_is_parked(
    admin: Person, database_url: str
) -> None:
    def decided() -> httpx.Response:
        path = "/reactions/welcome_mail/failures/1/retry"
        return admin.ask("POST", path, WHY, Idempotency_Key="retry-1")

    first = decided()
    rows(database_url, "delete from reaction_failures")
    again = decided()
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.status_code == 202
    assert again.headers["idempotency-replayed"] == "true"
