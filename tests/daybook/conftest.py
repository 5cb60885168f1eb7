"""What the program's tests need: a database each, a Valkey for all, commands to type."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from litestar import Litestar

from daybook import cli
from daybook.api import build
from daybook.services import Services, services
from daybook.settings import Settings
from tests.conftest import address, run
from tests.event_store.conftest import database_url
from tests.event_store.given import MASTER_KEY
from tests.folders import folder_for_services

__all__ = ["database_url"]

Typed = Callable[..., "Told"]


@pytest.fixture(scope="session")
def redis_url(server_url: str) -> Iterator[str]:
    """Run a Valkey, and no Postgres beside it."""
    with folder_for_services() as folder:
        given = Settings(data_dir=folder / "var", database_url=server_url)
        with services(given) as found:
            yield found.redis_url


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """Give the application as it is shipped; nothing is asked of it."""
    folder = tmp_path_factory.mktemp("var")
    nowhere = Services("postgresql://127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    return build("all", Settings(data_dir=folder), nowhere)


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """Return the address of a database in which nothing is, not even tables."""
    name = f"test_{uuid4().hex[:12]}"
    run(server_url, "create database {}", name)
    yield address(server_url, name)
    run(server_url, "drop database {} with (force)", name)


@pytest.fixture
def environment(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of commands that work on the test's database."""
    return {
        **{name: value for name, value in os.environ.items() if "DAYBOOK" not in name},
        "DAYBOOK_DATABASE_URL": database_url,
        "DAYBOOK_REDIS_URL": redis_url,
        "DAYBOOK_DATA_DIR": str(tmp_path / "var"),
        "DAYBOOK_MASTER_KEY": MASTER_KEY,
    }


class Told(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def typed(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Typed:
    """Return what types a command, in this process; named arguments change the settings."""

    def run(*arguments: str, **changed: str) -> Told:
        capfd.readouterr()
        with monkeypatch.context() as here, open(os.devnull) as nothing:  # noqa: PTH123 - no file
            for name in [name for name in os.environ if "DAYBOOK" in name]:
                here.delenv(name)
            for name, value in (environment | changed).items():
                here.setenv(name, value)
            here.setattr(sys, "argv", ["daybook", *arguments])
            here.setattr(sys, "stdin", nothing)
            here.setattr(cli, "configure_logs", lambda _: None)  # pytest's own are to stay
            here.chdir(tmp_path)
            code = exit_code()
        return Told(code, *capfd.readouterr())

    return run


def exit_code() -> int:
    """Run the command line and return how it ends."""
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    return 0


@pytest.fixture
def typed_apart(environment: dict[str, str], tmp_path: Path) -> Typed:
    """Return what types a command that is a process of its own, as people do."""

    def run(*arguments: str, **changed: str) -> Told:
        ended = subprocess.run(
            [sys.executable, "-m", "daybook", *arguments],
            env=environment | changed,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Told(ended.returncode, ended.stdout, ended.stderr)

    return run
