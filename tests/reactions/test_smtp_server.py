"""How mails are handed over: passwords, encryption."""

import shutil
import ssl
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from reactions.reaction import Outage
from reactions.smtp_server import SmtpServer, is_this_machine
from tests.commands.given import registered, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.reactions.given import end_pauses, finish, reacting, rows
from tests.reactions.post_office import PostOffice

CERTIFICATE = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {0} -out {1}"
CERTIFICATE += " -subj /CN=localhost -addext subjectAltName=DNS:localhost"


# Tests of passwords use no encryption, which aiosmtpd warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Return what a server encrypts with: a certificate that nobody vouches for."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    arguments = CERTIFICATE.format(key, certificate).split()
    subprocess.run([openssl, *arguments], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@on_a_loop
async def test_the_name_and_password_of_the_url_are_given(database_url: str) -> None:
    office = PostOffice(credentials=("postman", "p@ss word"))
    office.open()
    async with working_on(database_url) as tools:
        await registered(tools)
    url = f"smtp://postman:p%40ss%20word@127.0.0.1:{office.port}"
    with reacting(database_url, SmtpServer(url)) as reactor:
        assert finish(reactor) == 1
    office.shut()
    assert len(office.received) == 1


@on_a_loop
async def test_a_wrong_password_parks_no_mail(database_url: str) -> None:
    office = PostOffice(credentials=("postman", "right"))
    office.open()
    async with working_on(database_url) as tools:
        await registered(tools)
    for url in (f"smtp://postman:wrong@127.0.0.1:{office.port}", office.url):
        with reacting(database_url, SmtpServer(url)) as reactor:
            assert finish(reactor) == 0
        query = "select failure from reaction_checkpoints where failure is not null"
        [(failure,)] = rows(database_url, query)
        assert failure.startswith(
            "The SMTP server 127.0.0.1 cannot be used: 535" if "wrong" in url else "530"
        )
        rows(database_url, "update reaction_checkpoints set retry_at = null, failure = null")
    office.shut()
    assert rows(database_url, "select position from reaction_failures") == []


@on_a_loop
async def test_starttls_is_used_when_it_is_offered(database_url: str, tls: ssl.SSLContext) -> None:
    office = PostOffice(tls=tls)
    office.open()
    async with working_on(database_url) as tools:
        await registered(tools)
    with reacting(database_url, SmtpServer(office.url)) as reactor:
        assert finish(reactor) == 1
    office.shut()
    assert office.encrypted == [True]


@on_a_loop
async def test_smtps_is_encrypted_from_the_first_byte_and_by_whom_it_should_be(
    database_url: str, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a server on another machine, whose certificate is checked against its name."""
    monkeypatch.setattr("reactions.smtp_server.is_this_machine", lambda _: False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    office = PostOffice(tls, ("postman", "secret"), from_the_first_byte=True)
    office.open()
    async with working_on(database_url) as tools:
        await registered(tools)
    with reacting(database_url, SmtpServer(office.url.replace("//", "//postman:secret@"))) as wrong:
        assert finish(wrong) == 0  # the certificate names localhost, not 127.0.0.1
    end_pauses(database_url)
    url = f"smtps://postman:secret@localhost:{office.port}"
    with reacting(database_url, SmtpServer(url)) as reactor:
        assert finish(reactor) == 1
    office.shut()
    assert (office.encrypted, office.recipients) == ([True], ["alice@example.com"])


def test_what_is_no_smtps_is_an_outage_in_time() -> None:
    office = PostOffice()
    office.open()
    began = monotonic()
    with pytest.raises(Outage, match="cannot be used"):
        SmtpServer(office.url.replace("smtp:", "smtps:"))._connect(ends=monotonic() + 5)
    assert monotonic() - began < 8
    office.shut()


@pytest.mark.parametrize("smtps", [False, True])
def test_a_certificate_that_nobody_vouches_for_is_refused_from_another_machine(
    tls: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    smtps: bool,  # noqa: FBT001 - a case
) -> None:
    office = PostOffice(tls, from_the_first_byte=smtps)
    office.open()
    monkeypatch.setattr("reactions.smtp_server.is_this_machine", lambda _: False)
    with pytest.raises(Outage, match="certificate verify failed"):
        SmtpServer(office.url)._connect(ends=monotonic() + 5)
    office.shut()


def test_no_password_goes_to_another_machine_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    office = PostOffice(credentials=("postman", "secret"))
    office.open()
    monkeypatch.setattr("reactions.smtp_server.is_this_machine", lambda _: False)
    with pytest.raises(Outage, match="no password is sent in clear"):
        SmtpServer(f"smtp://postman:secret@127.0.0.1:{office.port}")._connect(ends=monotonic() + 5)
    office.shut()


def test_this_machine_is_known_by_its_names() -> None:
    assert all(map(is_this_machine, ("localhost", "127.0.0.1", "127.8.8.8", "::1")))
    assert not any(map(is_this_machine, ("mail.example.com", "192.0.2.1", "localhost.example")))
