"""Brings a database to this release's schema: one process at a time, the others wait for it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from event_store.connections import connect
from projections.rebuilds.deploying import settle
from projections.switched_on import PROJECTIONS

LOCK = 0x4441_5942_4F4F_4B00  # "DAYBOOK" in ASCII: the advisory lock of migrations


class NewerDatabase(Exception):  # noqa: N818 - reads as what was found
    """The database was migrated by a newer release."""


def migrations() -> Path:
    """Return the folder with the migrations, of a checkout or of an installed package."""
    checkout = Path(__file__).parents[2] / "migrations"
    return checkout if checkout.is_dir() else Path(__file__).parents[1] / "migrations"


def config() -> Config:
    """Return Alembic's configuration."""
    settings = Config()
    settings.set_main_option("script_location", str(migrations()))
    settings.set_main_option("path_separator", "os")
    return settings


def migrate(database_url: str) -> str:
    """Apply what is missing and return the revision. Safe to call from many processes at once.

    Views whose version is new begin to be rebuilt.

    Raises `NewerDatabase`. Killed anywhere it leaves whole migrations only.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        # The lock is the connection's and ends with it, whatever becomes of this process.
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.commit()
        revision = revision_of(connection)
        if revision != newest_revision():
            check_known(revision)
            settings = config()
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            # Tables that are new belong to nobody else yet.
            permissions = (migrations() / "sql" / "permissions.sql").read_text(encoding="utf-8")
            connection.exec_driver_sql(permissions.replace("%", "%%"))
            connection.commit()
        with connect(database_url, name="daybook deploy") as deploying:
            settle(deploying, list(PROJECTIONS.values()))
        return newest_revision()


def check_known(revision: str | None) -> None:
    """Raise `NewerDatabase` unless this release has the migration that a database is at."""
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise NewerDatabase(
            f"The database is at revision {revision} and this release of Daybook knows none after"
            f" {newest_revision()}: run the newer release that migrated it."
        )


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database, None for an empty one."""
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def newest_revision() -> str:
    """Return the revision that this release needs."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    assert revision is not None  # noqa: S101 - the folder has migrations
    return revision
