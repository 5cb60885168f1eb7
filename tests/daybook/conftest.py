"""What the tests of the program need: a database each, a Valkey for all of them, commands to type."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daybook.services import services
from daybook.settings import Settings
from tests.event_store.conftest import database_url
from tests.stories.running import folder_for_services

__all__ = ["database_url"]

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def redis_url(server_url: str) -> Iterator[str]:
    """Run a Valkey, and no Postgres beside it."""
    with folder_for_services() as folder:
        given = Settings(data_dir=folder / "var", database_url=server_url)
        with services(given) as found:
            yield found.redis_url


@pytest.fixture
def environment(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Return the environment of commands that work on the test's database."""
    return {
        **{name: value for name, value in os.environ.items() if "DAYBOOK" not in name},
        "DAYBOOK_DATABASE_URL": database_url,
        "DAYBOOK_REDIS_URL": redis_url,
        "DAYBOOK_DATA_DIR": str(tmp_path / "var"),
    }


@pytest.fixture
def typed(environment: dict[str, str], tmp_path: Path) -> Typed:
    """Return what types a command and waits for its end; named arguments change the settings."""

    def run(*arguments: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "daybook", *arguments],
            env=environment | changed,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
