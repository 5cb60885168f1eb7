"""What is over is over: neither switching reactions on nor a rebuild mails anybody."""

from collections.abc import Iterator
from itertools import count
from os import getpid
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, make_url

from daybook.migrate import config, migrate
from event_store.connections import connect
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.rebuilds.rebuild import rebuild
from projections.switched_on import PROJECTIONS
from reactions.mail_folder import MailFolder
from tests.commands.given import registered, working_on
from tests.conftest import address, run
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import keyring
from tests.reactions.given import files_in, finish, names_in_log, ordered, reacting, rows

# Accounts need it today; it is made again by its migration. Of roles that release knew nothing.
SUBJECT_KEYS = """
create table subject_keys (subject_id uuid primary key, master text, wrapped bytea);
grant all on all tables in schema public to public
"""
NUMBERS = count(1)


@pytest.fixture
def older_database(server_url: str, template_database: str) -> Iterator[str]:
    """Return a database of a release that had no reactions; the server has today's roles."""
    assert template_database
    name = f"test_re_{getpid()}_old_{next(NUMBERS)}"
    run(server_url, "create database {}", name)
    url = address(server_url, name)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0002")
        connection.commit()
    engine.dispose()
    yield url
    run(server_url, "drop database {} with (force)", name)


@on_a_loop
async def test_switching_reactions_on_mails_nobody_about_the_past(
    older_database: str, tmp_path: Path
) -> None:
    rows(older_database, SUBJECT_KEYS)
    async with working_on(older_database) as tools:
        await ordered(tools, "before@example.com")
    rows(older_database, "drop table subject_keys")
    before = len(names_in_log(older_database))
    migrate(older_database)
    assert rows(older_database, "select distinct position from reaction_checkpoints") == [(before,)]
    with reacting(older_database, MailFolder(tmp_path / "mail")) as reactor:
        finish(reactor)
        assert files_in(tmp_path / "mail") == []
        async with working_on(older_database) as tools:
            await registered(tools, "after@example.com")
        finish(reactor)
    assert files_in(tmp_path / "mail") == [f"{before + 1}-welcome_mail.eml"]


@on_a_loop
async def test_a_rebuild_mails_nobody_again(database_url: str, tmp_path: Path) -> None:
    async with working_on(database_url) as tools:
        await ordered(tools)
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        finish(reactor)
        assert files_in(tmp_path) == ["1-welcome_mail.eml", "4-order_confirmation.eml"]
        with connect(database_url, name="test") as connection:
            for projection in PROJECTIONS.values():
                catch_up(connection, projection, Pages(PROJECTIONS.values(), keyring()))
                rebuild(connection, projection, lambda *_: None, keyring())
        with reacting(database_url, MailFolder(tmp_path / "again")) as later:
            assert finish(later) == 0
    assert files_in(tmp_path / "again") == []
