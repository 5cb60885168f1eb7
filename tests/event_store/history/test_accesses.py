"""Erasures and what operators ask for are recorded among the accesses, with their event or not."""

from uuid import UUID, uuid4

import pytest

from domain.administrators import STREAM_ID as ADMINISTRATORS
from domain.administrators import AdministratorAppointed
from domain.projection_control import ProjectionOperationEnded, ProjectionPaused
from domain.reaction_control import ReactionOperationEnded, ReactionSkipRequested
from domain.user import UserForgotten
from event_store.event_types import Event
from event_store.records import StreamChange, VersionConflict
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.conftest import database_url
from tests.event_store.given import AUDIT, answers_to, appending, command, noting, rows

__all__ = ["database_url"]

ONE, OTHER = UUID(int=1), UUID(int=2)
RECORDED = "select kind, action, actor_id, request_id, asked, rows from audit_accesses"


def happening(stream_type: str, event: Event, stream_id: UUID = ONE) -> StreamChange:
    return StreamChange(stream_id, stream_type, 0, (event,), subject=stream_id)


@pytest.mark.parametrize(
    ("change", "kind", "action", "asked"),
    [
        (happening("user", UserForgotten()), "erasure", "user.forgotten", {}),
        (
            happening("projection_control", ProjectionPaused(OTHER, "orders", "Zoë asked me to")),
            "operation",
            "projection.paused",
            {"operation_id": str(OTHER), "projection": "orders"},
        ),
        (
            happening("reaction_control", ReactionSkipRequested("welcome_mail", 7, "of no use")),
            "operation",
            "reaction.skip_requested",
            {"reaction": "welcome_mail", "position": 7},
        ),
        (
            happening("administrators", AdministratorAppointed(OTHER), ADMINISTRATORS),
            "operation",
            "administrator.appointed",
            {"user_id": str(OTHER)},
        ),
    ],
)
def test_erasures_and_operations_are_recorded_with_their_event(
    database_url: str, change: StreamChange, kind: str, action: str, asked: dict[str, object]
) -> None:
    append_once(database_url, change)
    where = {"logPosition": 1, "streamId": str(change.stream_id)}
    assert rows(database_url, RECORDED) == [
        (kind, action, AUDIT.actor_id, AUDIT.request_id, asked | where, 1)
    ]


@on_a_loop
async def append_once(database_url: str, change: StreamChange) -> None:
    async with appending(database_url) as appender:
        await appender.append(command(change))


@on_a_loop
async def test_what_is_not_appended_and_what_customers_do_is_not_recorded(
    database_url: str,
) -> None:
    ended = ProjectionOperationEnded(OTHER, "orders", "done", "")
    decided = ReactionOperationEnded("erasure", 1, "done", "")
    late = StreamChange(ONE, "user", 7, (UserForgotten(),))
    async with appending(database_url) as appender:
        refused, *_ = await answers_to(
            appender,
            [
                command(late),
                noting(uuid4()),
                command(happening("projection_control", ended, OTHER)),
                command(happening("reaction_control", decided)),
            ],
        )
    assert isinstance(refused, VersionConflict)
    assert rows(database_url, "select count(*) from events") == [(3,)]
    assert rows(database_url, RECORDED) == []
