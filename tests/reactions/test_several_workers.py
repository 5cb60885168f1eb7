"""Workers that run beside each other, die, or are woken: each mail once, or once more as told."""

import asyncio
import subprocess
import sys
from pathlib import Path
from time import monotonic

from reactions.mail_folder import MailFolder
from reactions.smtp_server import SmtpServer
from tests.commands.given import registered, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.reactions.given import files_in, finish, reacting, rows, running, wait_for
from tests.reactions.post_office import PostOffice

ROOT = Path(__file__).parents[2]
BOTH = {("daybook mails",), ("daybook deadlines",)}
SESSIONS = """
select application_name from pg_stat_activity
 where datname = current_database()
"""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
 where application_name in ('daybook mails', 'daybook deadlines') and datname = current_database()
"""


@on_a_loop
async def test_a_kill_between_sending_and_noting_repeats_one_mail_under_its_message_id(
    database_url: str, post_office: PostOffice
) -> None:
    async with working_on(database_url) as tools:
        for number in range(3):
            await registered(tools, f"user-{number}@example.com")
    assert run_dying_worker(database_url, post_office.url) == -9
    assert post_office.recipients == ["user-0@example.com"]
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
    assert post_office.recipients == [
        "user-0@example.com",
        *(f"user-{n}@example.com" for n in range(3)),
    ]
    first, again, *others = post_office.message_ids()
    assert first == again
    assert len({first, *others}) == 3


@on_a_loop
async def test_two_workers_at_once_send_each_mail_once(
    database_url: str, post_office: PostOffice
) -> None:
    emails = [f"user-{number}@example.com" for number in range(20)]
    with (
        reacting(database_url, SmtpServer(post_office.url)) as one,
        reacting(database_url, SmtpServer(post_office.url)) as other,
        running(one),
        running(other),
    ):
        async with working_on(database_url) as tools:
            for email in emails:
                await registered(tools, email)
                one.wake()
                other.wake()
        wait_for(lambda: len(post_office.recipients) >= len(emails))
        await asyncio.sleep(1.5)
    assert sorted(post_office.recipients) == sorted(emails)


@on_a_loop
async def test_a_worker_outlives_the_loss_of_its_connections(
    database_url: str, tmp_path: Path
) -> None:
    with reacting(database_url, MailFolder(tmp_path)) as reactor, running(reactor):
        wait_for(lambda: set(rows(database_url, SESSIONS)) >= BOTH)
        rows(database_url, KILL)
        async with working_on(database_url) as tools:
            await registered(tools)
        wait_for(lambda: files_in(tmp_path) != [])


def test_a_stopped_worker_returns_within_two_seconds(database_url: str, tmp_path: Path) -> None:
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        began = monotonic()
        with running(reactor):
            wait_for(lambda: set(rows(database_url, SESSIONS)) >= BOTH)
            began = monotonic()
        assert monotonic() - began < 2


def run_dying_worker(database_url: str, smtp_url: str) -> int:
    """Run a worker that is killed after its first mail; return how it ended."""
    died = subprocess.run(
        [sys.executable, "-m", "tests.reactions.dies_after_sending", database_url, smtp_url],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        check=False,
        timeout=60,
    )
    return died.returncode
