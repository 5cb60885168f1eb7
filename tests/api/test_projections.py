"""What an operator asks over HTTP is in the log, once, with who and why, and can be followed."""

from uuid import UUID, uuid4

import pytest

from tests.api.conftest import Person, data_of, refused
from tests.event_store.given import rows

WHY = {"reason": "the disk is being replaced"}
LOGGED = """
select name, actor_id, actor_role, command, data ->> 'reason'
  from events where data ->> 'operation_id' = %s
"""


def test_a_request_is_accepted_and_says_where_it_can_be_followed(
    admin: Person, database_url: str
) -> None:
    answer = admin.ask("POST", "/projections/orders/pause", WHY)
    assert answer.status_code == 202
    operation_id = data_of(answer)["operationId"]
    assert answer.headers["location"] == f"/api/v1/projections/orders/operations/{operation_id}"
    assert answer.headers["retry-after"] == "1"
    ((name, actor, *more),) = rows(database_url, LOGGED, operation_id)
    assert (name, more) == ("projection.paused", ["admin", "PauseProjection", WHY["reason"]])
    assert UUID(actor)
    refused(admin.ask("POST", "/projections/orders/pause", WHY), 409, "INVALID_STATE")
    data_of(admin.ask("POST", "/projections/orders/resume", WHY))


def test_a_second_rebuild_is_refused_while_the_first_has_not_ended(admin: Person) -> None:
    body = {**WHY, "dryRun": True, "throttle": 50}
    data_of(admin.ask("POST", "/projections/users/rebuild", body))
    refused(admin.ask("POST", "/projections/users/rebuild", WHY), 409, "INVALID_STATE")
    refused(admin.ask("POST", "/projections/users/rollback", WHY), 409, "INVALID_STATE")
    data_of(admin.ask("POST", "/projections/users/cancel", WHY))


def test_a_repetition_under_a_key_asks_nothing_twice(admin: Person) -> None:
    key = uuid4().hex
    first = admin.ask("POST", "/projections/orders/prune", WHY, Idempotency_Key=key)
    again = admin.ask("POST", "/projections/orders/prune", WHY, Idempotency_Key=key)
    assert (first.status_code, first.content) == (202, again.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("verb", ["pause", "rebuild", "failures/1/retry", "failures/1/skip"])
def test_what_does_not_exist_is_not_found(admin: Person, verb: str) -> None:
    refused(admin.ask("POST", f"/projections/nothing/{verb}", WHY), 404, "NOT_FOUND")


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {**WHY, "throttle": 0}, {**WHY, "dryRun": 1}])
def test_a_request_without_a_reason_or_with_nonsense_is_refused(
    admin: Person, body: dict[str, object]
) -> None:
    refused(admin.ask("POST", "/projections/orders/rebuild", body), 422, "VALIDATION_ERROR")
