"""Mails while the SMTP server is away, refuses, or falls silent: all arrive in the end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic

import pytest

from event_store.privacy.keyring import Keyring
from event_store.privacy.master_keys import LocalMasterKeys
from reactions import smtp_server
from reactions.reaction import ATTEMPTS_IF_REFUSED, ATTEMPTS_IF_UNSURE
from reactions.reactor import Reactor
from reactions.smtp_server import SmtpServer
from tests.commands.given import registered, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.reactions.given import WINDOW, end_pauses, finish, reacting, rows
from tests.reactions.post_office import PostOffice, free_port

FAILURES = "select position, attempts, error, retry_at is null from reaction_failures"
WAITING = "select attempts, failure from reaction_checkpoints where name = 'welcome_mail'"


async def register_all(database_url: str, *emails: str) -> None:
    async with working_on(database_url) as tools:
        for email in emails:
            await registered(tools, email)


@on_a_loop
async def test_a_server_that_was_down_gets_every_mail_once_when_it_is_up(
    database_url: str, post_office: PostOffice
) -> None:
    post_office.shut()
    await register_all(database_url, *(f"user-{number}@example.com" for number in range(5)))
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        for _ in range(8):
            assert finish(reactor) == 0
            end_pauses(database_url)
        [(attempts, failure)] = rows(database_url, WAITING)
        assert (attempts, rows(database_url, FAILURES)) == (8, [])
        assert "refused" in failure
        post_office.open()
        assert finish(reactor) == 5
    assert post_office.recipients == [f"user-{number}@example.com" for number in range(5)]
    assert rows(database_url, WAITING) == [(0, None)]


@on_a_loop
async def test_the_pauses_of_an_outage_grow_to_half_a_minute(database_url: str) -> None:
    await register_all(database_url, "alice@example.com")
    rows(database_url, "update reaction_checkpoints set attempts = 5000")
    with reacting(database_url, SmtpServer(f"smtp://127.0.0.1:{free_port()}")) as reactor:
        finish(reactor)
        assert finish(reactor) == 0
    query = """
        select extract(epoch from retry_at - failed_at)::int, attempts
          from reaction_checkpoints where failure is not null
    """
    assert rows(database_url, query) == [(30, 5001)]


@on_a_loop
async def test_a_wrong_master_key_parks_no_mail(database_url: str, post_office: PostOffice) -> None:
    """No event is at fault: the mails go out when the worker has the right one."""
    await register_all(database_url, "a@example.com", "b@example.com")
    wrong = Keyring(LocalMasterKeys(lambda: ["another-master-key-0123456789-abcdef"]))
    server = SmtpServer(post_office.url)
    reactor = Reactor(database_url, server, WINDOW, keys=wrong, on_append=lambda _: None)
    with closing(reactor):
        reactor.open()
        for _ in range(ATTEMPTS_IF_REFUSED + 1):
            finish(reactor)
            end_pauses(database_url)
    [(attempts, failure)] = rows(database_url, WAITING)
    assert (attempts, rows(database_url, FAILURES)) == (ATTEMPTS_IF_REFUSED + 1, [])
    assert "master key" in failure
    with reacting(database_url, SmtpServer(post_office.url)) as mended:
        assert finish(mended) == 2


@on_a_loop
async def test_a_refused_recipient_is_parked_and_the_others_get_their_mail(
    database_url: str, post_office: PostOffice
) -> None:
    post_office.at_rcpt["gone@example.com"] = "550 5.1.1 <gone@example.com> is unknown"
    await register_all(database_url, "a@example.com", "gone@example.com", "b@example.com")
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
        assert post_office.recipients == ["a@example.com", "b@example.com"]
        for _ in range(5):
            end_pauses(database_url)
            finish(reactor)
    [(position, attempts, error, parked)] = rows(database_url, FAILURES)
    assert (position, attempts, parked) == (2, ATTEMPTS_IF_REFUSED, True)
    assert error == "550 5.1.1 <***> is unknown"
    assert post_office.recipients == ["a@example.com", "b@example.com"]


@on_a_loop
async def test_what_is_refused_for_now_arrives_later(
    database_url: str, post_office: PostOffice
) -> None:
    post_office.at_data["grey@example.com"] = "451 4.7.1 greylisted"
    await register_all(database_url, "grey@example.com")
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        for _ in range(ATTEMPTS_IF_REFUSED + 2):
            finish(reactor)
            end_pauses(database_url)
        post_office.at_data.clear()
        finish(reactor)
    assert post_office.recipients == ["grey@example.com"]
    assert rows(database_url, FAILURES) == []


@on_a_loop
async def test_a_server_that_closes_is_not_taken_for_a_refusal(
    database_url: str, post_office: PostOffice
) -> None:
    post_office.at_rcpt["alice@example.com"] = "421 4.3.2 shutting down"
    await register_all(database_url, "alice@example.com")
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
        assert rows(database_url, FAILURES) == []
        post_office.at_rcpt.clear()
        end_pauses(database_url)
        assert finish(reactor) == 1


@on_a_loop
async def test_a_server_that_never_says_whether_it_took_a_mail_does_not_get_it_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_server, "MAIL_SECONDS", 0.3)
    await register_all(database_url, "alice@example.com")
    with (
        silent_after_data() as (port, message_ids),
        reacting(database_url, SmtpServer(f"smtp://127.0.0.1:{port}")) as reactor,
    ):
        for _ in range(ATTEMPTS_IF_UNSURE + 3):
            finish(reactor)
            end_pauses(database_url)
    assert len(message_ids) == ATTEMPTS_IF_UNSURE
    [(stream_id,)] = rows(database_url, "select stream_id from events")
    assert set(message_ids) == {f"<welcome_mail.1.{stream_id.hex}@daybook.invalid>"}
    [(_, attempts, error, parked)] = rows(database_url, FAILURES)
    assert (attempts, parked) == (ATTEMPTS_IF_UNSURE, True)
    assert error.startswith("No answer came")


@on_a_loop
async def test_a_frozen_server_holds_a_mail_up_no_longer_than_its_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_server, "CONNECT_SECONDS", 0.3)
    await register_all(database_url, "alice@example.com")
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        url = f"smtp://127.0.0.1:{frozen.getsockname()[1]}"
        with reacting(database_url, SmtpServer(url)) as reactor:
            began = monotonic()
            assert finish(reactor) == 0
            assert monotonic() - began < 2
    assert rows(database_url, FAILURES) == []


@contextmanager
def silent_after_data() -> Iterator[tuple[int, list[str]]]:
    """Run a server that takes mails in and does not say so; give its port and their ids."""
    message_ids: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve_silently, args=[server, message_ids])
        thread.start()
        try:
            yield server.getsockname()[1], message_ids
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def serve_silently(server: socket.socket, message_ids: list[str]) -> None:
    answers = {b"EHLO": b"250 OK", b"MAIL": b"250 OK", b"RCPT": b"250 OK", b"DATA": b"354 go"}
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line, line.makefile("rwb", buffering=0) as file:
            file.write(b"220 here\r\n")
            for said in file:
                if said[:4].upper() in answers:
                    file.write(answers[said[:4].upper()] + b"\r\n")
                elif said.startswith(b"Message-ID:"):
                    message_ids.append(said.decode().split()[1])
