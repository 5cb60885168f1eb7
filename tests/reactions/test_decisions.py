"""What operators decide about failures: carried out once, and for nothing else than was meant."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commands.execution import execute
from commands.reactions.retry_reaction import RetryReaction, retry_reaction
from commands.reactions.skip_reaction import SkipReaction, skip_reaction
from daybook.cli import app
from domain.reaction_control import stream_of
from domain.refusal import Invalid, NotFound
from event_store.connections import connect
from reactions.decisions import End, carrying_out
from reactions.engine import follow
from reactions.mail_folder import MailFolder
from reactions.operations import operation, operations
from reactions.reaction import ATTEMPTS_IF_REFUSED
from reactions.smtp_server import SmtpServer
from reactions.status import statuses
from reactions.switched_on import REACTIONS
from tests.commands.given import ADMIN, registered, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.reactions.given import end_pauses, files_in, finish, reacting, rows
from tests.reactions.post_office import PostOffice

FAILURES = "select position, attempts, retry_at is null from reaction_failures order by position"
DECIDED = """
    select name, actor_role, data ->> 'position', data ->> 'reason' from events
     where name like 'reaction.%%_requested' order by position
"""
ENDED = """
    select actor_id, causation_id, data ->> 'outcome', data ->> 'detail' from events
     where name = 'reaction.operation_ended' order by position
"""
GONE = "550 5.1.1 no such user"


def command_line(*arguments: str, database_url: str, data_dir: Path) -> tuple[int, Any]:
    """Give the operator's command; return its exit code and what it said."""
    environment = {
        "DAYBOOK_DATABASE_URL": database_url,
        "DAYBOOK_REDIS_URL": "redis://127.0.0.1:1/0",
        "DAYBOOK_DATA_DIR": str(data_dir),
    }
    result = CliRunner().invoke(app, ["reactions", *arguments, "--json"], env=environment)
    if not result.stdout.strip():
        raise result.exception or AssertionError(result.output)
    return result.exit_code, json.loads(result.stdout.splitlines()[-1])


async def park(database_url: str, office: PostOffice, *emails: str) -> None:
    """Register some people whose mail is refused until it is parked."""
    async with working_on(database_url) as tools:
        for email in emails:
            office.at_rcpt[email] = GONE
            await registered(tools, email)
    with reacting(database_url, SmtpServer(office.url)) as reactor:
        for _ in range(ATTEMPTS_IF_REFUSED):
            finish(reactor)
            end_pauses(database_url)
    assert all(parked for *_, parked in rows(database_url, FAILURES))


@on_a_loop
async def test_a_retry_brings_a_parked_mail_on_its_way_and_is_in_the_log(
    database_url: str, post_office: PostOffice
) -> None:
    await park(database_url, post_office, "a@example.com", "b@example.com")
    post_office.at_rcpt.clear()
    async with working_on(database_url) as tools:
        request = RetryReaction(reaction="welcome_mail", position=2, reason="the box is there")
        receipt = await execute(tools, ADMIN, retry_reaction, request)
    assert receipt.id == stream_of("welcome_mail")
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
        finish(reactor)
    assert post_office.recipients == ["b@example.com"]
    assert rows(database_url, FAILURES) == [(1, ATTEMPTS_IF_REFUSED, True)]
    assert rows(database_url, DECIDED) == [
        ("reaction.retry_requested", "admin", "2", "the box is there")
    ]
    assert rows(database_url, ENDED) == [
        ("system", 3, "done", "1 tried again: the failures say with which success.")
    ]


@on_a_loop
async def test_a_retry_that_fails_again_is_parked_at_once(
    database_url: str, post_office: PostOffice
) -> None:
    await park(database_url, post_office, "a@example.com")
    async with working_on(database_url) as tools:
        request = RetryReaction(reaction="welcome_mail", position=None, reason="hope")
        await execute(tools, ADMIN, retry_reaction, request)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
        finish(reactor)
    assert rows(database_url, FAILURES) == [(1, ATTEMPTS_IF_REFUSED + 1, True)]


@on_a_loop
async def test_a_skipped_event_has_no_effect_and_the_others_do(
    database_url: str, post_office: PostOffice
) -> None:
    await park(database_url, post_office, "a@example.com", "b@example.com")
    async with working_on(database_url) as tools:
        request = SkipReaction(reaction="welcome_mail", position=1, reason="moved away")
        await execute(tools, ADMIN, skip_reaction, request)
        request = SkipReaction(reaction="no_reaction", position=2, reason="not meant")
        await execute(tools, ADMIN, skip_reaction, request)
    post_office.at_rcpt.clear()
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
        assert rows(database_url, FAILURES) == [(2, ATTEMPTS_IF_REFUSED, True)]
        end_pauses(database_url)
        finish(reactor)
    assert post_office.recipients == []


@on_a_loop
async def test_an_event_that_a_reaction_waits_before_can_be_skipped_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    """As one that an SMTP server never gets over; those behind it would wait for ever."""
    async with working_on(database_url) as tools:
        for name in ("a", "b", "c"):
            await registered(tools, f"{name}@example.com")
        (tmp_path / "no folder").write_text("")
        with reacting(database_url, MailFolder(tmp_path / "no folder")) as reactor:
            finish(reactor)
        for position in (3, 1):
            request = SkipReaction(reaction="welcome_mail", position=position, reason="a test")
            await execute(tools, ADMIN, skip_reaction, request)
    said: list[End] = []
    deciding = carrying_out(REACTIONS, said.append)
    with connect(database_url, name="test") as connection:
        assert follow(connection, deciding) == 2
        assert follow(connection, deciding) == 0
        found = {one.name: one for one in statuses(connection)}
    assert (found["welcome_mail"].position, found["welcome_mail"].failure) == (1, None)
    assert found["operator_decisions"].position == 5
    assert [one.outcome for one in said] == ["refused", "done"]
    with reacting(database_url, MailFolder(tmp_path / "mail")) as reactor:
        finish(reactor)
    assert files_in(tmp_path / "mail") == ["2-welcome_mail.eml", "3-welcome_mail.eml"]


@on_a_loop
async def test_each_decision_ends_once_whoever_dies_before_the_commit(
    database_url: str, post_office: PostOffice
) -> None:
    """What came of it is said before the commit, and said again by who carries it out anew."""
    await park(database_url, post_office, "a@example.com")
    async with working_on(database_url) as tools:
        for position in (1, 9):
            request = SkipReaction(reaction="welcome_mail", position=position, reason="moved")
            await execute(tools, ADMIN, skip_reaction, request)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        say_end = reactor._actor.say_end

        def dying(end: End) -> None:
            say_end(end)
            raise Dead

        with connect(database_url, name="test") as connection, pytest.raises(Dead):
            follow(connection, carrying_out(REACTIONS, dying))
        assert rows(database_url, FAILURES) == [(1, ATTEMPTS_IF_REFUSED, True)]
        finish(reactor)
    assert rows(database_url, FAILURES) == []
    assert rows(database_url, ENDED) == [
        ("system", 2, "done", "Event 1 is left out."),
        ("system", 3, "refused", "welcome_mail has not failed at 9."),
    ]
    with connect(database_url, name="test") as connection:
        newest, first = operations(connection, ["welcome_mail"])
        assert (first.operation_id, first.outcome, first.asked_by) == (2, "done", ADMIN.actor_id)
        assert (newest.operation_id, newest.outcome, newest.reason) == (3, "refused", "moved")
        assert operation(connection, "welcome_mail", 2) == first
        assert operation(connection, "welcome_mail", 1) is None
        assert operations(connection, ["erasure"]) == []


class Dead(BaseException):
    """The worker's process ends here."""


@on_a_loop
async def test_what_an_earlier_release_carried_out_is_listed_as_done(database_url: str) -> None:
    async with working_on(database_url) as tools:
        request = RetryReaction(reaction="welcome_mail", position=None, reason="hope")
        await execute(tools, ADMIN, retry_reaction, request)
    with connect(database_url, name="test") as connection:
        [asked] = operations(connection, ["welcome_mail"])
        assert asked.outcome is None
        follow(connection, carrying_out(REACTIONS, lambda _: None))
        [asked] = operations(connection, ["welcome_mail"])
        assert (asked.outcome, asked.ended_at) == ("done", None)


@pytest.mark.parametrize(("position", "reason"), [(0, "why"), (-1, "why"), (2**63, "why")])
@on_a_loop
async def test_what_no_log_has_is_refused(database_url: str, position: int, reason: str) -> None:
    async with working_on(database_url) as tools:
        request = SkipReaction(reaction="welcome_mail", position=position, reason=reason)
        with pytest.raises(NotFound):
            await execute(tools, ADMIN, skip_reaction, request)
        empty = RetryReaction(reaction="welcome_mail", position=None, reason=" ")
        with pytest.raises(Invalid):
            await execute(tools, ADMIN, retry_reaction, empty)
    assert rows(database_url, DECIDED) == []


def test_the_command_line_shows_what_failed_and_carries_decisions_out(
    database_url: str, post_office: PostOffice, tmp_path: Path
) -> None:
    """Without any worker: what is decided is carried out by the command itself."""

    def say(*arguments: str) -> tuple[int, Any]:
        return command_line(*arguments, database_url=database_url, data_dir=tmp_path)

    code, said = say("status")
    assert (code, {one["name"] for one in said["reactions"]}) == (0, set(REACTIONS))
    assert {one["state"] for one in said["reactions"]} == {"up to date"}
    assert say("failures", "list") == (0, {"failures": []})
    on_a_loop(park)(database_url, post_office, "a@example.com", "b@example.com")
    code, said = say("status")
    [mails] = [one for one in said["reactions"] if one["name"] == "welcome_mail"]
    assert (code, mails["parked"], mails["failing"], mails["state"]) == (1, 2, 0, "parked")
    code, said = say("failures", "list", "welcome_mail")
    assert code == 1
    assert [(one["position"], one["error"]) for one in said["failures"]] == [(1, GONE), (2, GONE)]
    code, said = say("failures", "show", "welcome_mail", "2")
    assert (code, said["event"], said["attempts"]) == (0, "user.registered", ATTEMPTS_IF_REFUSED)
    assert "example.com" not in json.dumps(said)
    code, said = say("failures", "retry", "welcome_mail", "1", "--wait", "0")
    assert (code, said["outcome"]) == (0, "asked")
    code, said = say("failures", "skip", "welcome_mail", "2", "--reason", "moved away")
    assert (code, said["outcome"]) == (0, "done")
    assert rows(database_url, FAILURES) == [(1, ATTEMPTS_IF_REFUSED, False)]
    with pytest.raises(NotFound):
        say("failures", "skip", "welcome_mail", "2")
    code, said = say("operations")
    assert [
        (one["action"], one["position"], one["reason"], one["outcome"])
        for one in said["operations"]
    ] == [("skip", 2, "moved away", "done"), ("retry", 1, "decided on the command line", "done")]
    assert all(one["asked_by"].startswith("operator:") for one in said["operations"])
    assert say("operations", "erasure") == (0, {"operations": []})
