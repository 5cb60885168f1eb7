"""Rotations, and notes of who is forgotten, that are killed between any two lines lose nothing."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from daybook.command_line import master_rotation
from daybook.command_line.master_rotation import rotate_kept
from daybook.keys import master_key, secret_files, signing_keys, tombstones
from daybook.keys.master_key import keyring
from daybook.keys.secret_files import replace
from daybook.services import Services
from daybook.settings import Settings
from event_store.connections import connect
from event_store.privacy.keyring import MAKE
from tests.event_store.evidence.given import Lent
from tests.killing import killed_at_each_line
from tests.stories.running import wait_until

MASTERS = "select count(distinct master), count(*) from subject_keys where wrapped is not null"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nobody cuts the machine's power here


@pytest.fixture
def lent(database_url: str) -> Iterator[Lent]:
    with connect(database_url, name="test") as connection:
        yield connection


def test_a_rotation_of_signing_keys_killed_between_any_two_lines(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    accepted: set[str] = set()

    def before() -> None:
        accepted.update(key.secret for key in signing_keys.signing_keys(settings))

    def act() -> None:
        signing_keys.rotate(settings, lambda _: None)

    def after() -> None:
        found = signing_keys.signing_keys(settings)
        assert {key.secret for key in found} >= accepted  # nobody is signed out
        assert found[0].until is None

    kills = killed_at_each_line(act, [signing_keys, secret_files], before=before, after=after)
    assert kills > 25
    act()
    after()
    assert not (tmp_path / "secrets" / ".jwt.new").exists()


def test_a_rotation_of_the_master_key_killed_between_any_two_lines(
    database_url: str, lent: Lent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_rotation, "SETTLE_SECONDS", 0)
    settings = Settings(data_dir=tmp_path)
    path = master_key.key_file(settings)
    people: dict[UUID, bytes] = {}

    def before() -> None:
        person, secret = uuid4(), uuid4().bytes * 2
        wrapped = keyring(settings).master.wrap({person: secret})
        lent.execute(MAKE, [list(column) for column in zip(*wrapped, strict=True)])
        people[person] = secret

    def act() -> None:
        rotate_kept(path, Services(database_url, "redis://127.0.0.1:1/0", keyring(settings)))

    def after() -> None:
        there = "select count(*) from pg_stat_activity where application_name like 'daybook %%'"
        wait_until(lambda: lent.execute(there).fetchone() == (0,), 30)
        found = keyring(settings).fetch(lent, list(people))
        assert {one: key and key.secret for one, key in found.items()} == people

    modules = [master_rotation, master_key, secret_files]
    assert killed_at_each_line(act, modules, before=before, after=after) > 25
    act()
    after()
    assert len(path.read_text().split()) == 1
    assert lent.execute(MASTERS).fetchone() == (1, len(people))


def test_a_note_of_who_is_forgotten_killed_between_any_two_lines(tmp_path: Path) -> None:
    file, people = tmp_path / "privacy" / "forgotten", list[UUID]()
    now = datetime.now(UTC)

    def act() -> None:
        tombstones.write(file, [(one, now) for one in people])

    def after() -> None:
        assert tombstones.read(file) >= set(people[:-1])
        act()
        assert tombstones.read(file) == set(people)

    modules = [tombstones, secret_files]
    before = lambda: people.append(uuid4())  # noqa: E731 - said once
    assert killed_at_each_line(act, modules, before=before, after=after) > 10


def test_a_half_of_a_file_is_written_over_and_a_secret_one_is_private(tmp_path: Path) -> None:
    half = tmp_path / ".secret.new"
    half.write_text("left by somebody who died, longer than what comes")
    replace(tmp_path / "secret", "one\ntwo\n")
    assert (tmp_path / "secret").read_text() == "one\ntwo\n"
    assert not half.exists()
    replace(tmp_path / "other", "three\n")
    assert (tmp_path / "other").stat().st_mode & 0o077 == 0
    replace(tmp_path / "head.note", "for everybody\n", 0o644)
    assert (tmp_path / "head.note").stat().st_mode & 0o777 == 0o644
