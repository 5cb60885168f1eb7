"""Who gets which mail, and what is in it."""

from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

from commands.execution import create_once, execute
from commands.users.change_user import ChangeUser, change_user
from commands.users.close_user import CloseUser, close_user
from commands.users.import_customer import ImportCustomer, import_customer
from commands.users.register_user import RegisterUser, register_user
from reactions.mail_folder import MailFolder
from reactions.smtp_server import SmtpServer
from tests.commands.given import (
    ADMIN,
    ANYONE,
    PASSWORD,
    SYSTEM,
    administrator,
    listed,
    paid,
    placed,
    registered,
    shipped,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop
from tests.reactions.given import files_in, finish, ordered, reacting, rows
from tests.reactions.post_office import PostOffice


@on_a_loop
async def test_each_step_of_an_order_is_mailed_once(
    database_url: str, post_office: PostOffice
) -> None:
    async with working_on(database_url) as tools:
        order_id = await ordered(tools)
        await paid(tools, order_id)
        await shipped(tools, order_id)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        assert finish(reactor) == 3
        assert finish(reactor) == 0
    subjects = ["Welcome to Daybook", f"Your order {order_id}"]
    assert post_office.subjects() == [*subjects, f"Your order {order_id} is on its way"]
    assert post_office.recipients == ["alice@example.com"] * 3
    welcome, confirmation, shipment = (mail.get_content() for mail in post_office.received)
    assert "Hello Alice" in welcome
    assert "2 x Teapot (SKU of alice@example.com) at 4.25 = 8.50 GBP" in confirmation
    assert "Total: 8.50 GBP" in confirmation
    assert "Royal Mail" in shipment
    assert "RM1" in shipment


@on_a_loop
async def test_every_mail_says_what_it_is(database_url: str, post_office: PostOffice) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
    [mail] = post_office.received
    [(recorded_at, stream_id)] = rows(database_url, "select recorded_at, stream_id from events")
    assert mail["From"] == "Daybook <no-reply@daybook.invalid>"
    assert mail["To"] == "Alice <alice@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == f"<welcome_mail.1.{stream_id.hex}@daybook.invalid>"
    assert datetime.strptime(mail["Date"], "%a, %d %b %Y %H:%M:%S %z") == recorded_at.replace(
        microsecond=0
    )
    assert mail.get_content_type() == "text/plain"


@on_a_loop
async def test_accounts_that_nobody_opened_for_themselves_are_not_welcomed(
    database_url: str, tmp_path: Path
) -> None:
    customer = ImportCustomer(
        user_id=uuid4(), reference="1", email="customer-1@imported.invalid", name="Customer 1"
    )
    async with working_on(database_url) as tools:
        await administrator(tools)
        await create_once(tools, SYSTEM, import_customer, customer)
        product_id = await listed(tools)
        await placed(tools, SYSTEM, (product_id, 1), user_id=customer.user_id)
    with reacting(database_url, MailFolder(tmp_path / "mail")) as reactor:
        finish(reactor)
    assert not (tmp_path / "mail").exists()


@on_a_loop
async def test_a_closed_account_gets_no_mail(database_url: str, post_office: PostOffice) -> None:
    async with working_on(database_url) as tools:
        user_id = await registered(tools)
        await execute(tools, ADMIN, close_user, CloseUser(user_id=user_id))
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
    assert post_office.received == []


@on_a_loop
async def test_mail_goes_to_the_present_address(database_url: str, post_office: PostOffice) -> None:
    async with working_on(database_url) as tools:
        user_id = await registered(tools, "mistyped@example.com")
        change = ChangeUser(user_id=user_id, email="right@example.com")
        await execute(tools, ADMIN, change_user, change)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        finish(reactor)
    assert post_office.recipients == ["right@example.com"]


@on_a_loop
async def test_names_and_addresses_of_all_scripts_arrive_and_forge_no_header(
    database_url: str, post_office: PostOffice
) -> None:
    people = {
        "zoë@example.com": "Zoë 日本語",
        "ada@bücher.example": 'Ada "Bcc: x@example.com", <y@example.com>',
        "eve@example.com": "Eve\u2028Bcc: victim@example.com",
    }
    async with working_on(database_url) as tools:
        for email, name in people.items():
            request = RegisterUser(email=email, password=PASSWORD, name=name)
            await execute(tools, ANYONE, register_user, request)
    with reacting(database_url, SmtpServer(post_office.url)) as reactor:
        assert finish(reactor) == 3
    expected = ["zoë@example.com", "ada@xn--bcher-kva.example", "eve@example.com"]
    assert post_office.recipients == expected
    assert list(map(name_of, post_office.received)) == [
        " ".join(name.split()) for name in people.values()
    ]
    assert all("Bcc" not in mail for mail in post_office.received)


@on_a_loop
async def test_without_a_server_mails_are_files(database_url: str, tmp_path: Path) -> None:
    async with working_on(database_url) as tools:
        await registered(tools, "zoë@example.com")
    with reacting(database_url, MailFolder(tmp_path / "mail")) as reactor:
        finish(reactor)
    assert files_in(tmp_path / "mail") == ["1-welcome_mail.eml"]
    content = (tmp_path / "mail/1-welcome_mail.eml").read_text()
    assert "To: Alice <zoë@example.com>\n" in content


@on_a_loop
async def test_a_folder_that_cannot_be_written_loses_no_mail(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
    folder = tmp_path / "mail"
    folder.write_text("a file is in the way")
    with reacting(database_url, MailFolder(folder)) as reactor:
        assert finish(reactor) == 0
        folder.unlink()
        rows(database_url, "update reaction_checkpoints set retry_at = now()")
        assert finish(reactor) == 1
    assert files_in(folder) == ["1-welcome_mail.eml"]


def name_of(mail: EmailMessage) -> str:
    """Return the name that a mail goes to; the parser leaves raw UTF-8 (RFC 6532) as surrogates."""
    name: str = mail["To"].addresses[0].display_name
    return name.encode(errors="surrogateescape").decode()
