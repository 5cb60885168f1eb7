"""Keys that sign access tokens: several at once, and a new one while nobody is signed out (S6)."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from api.errors import BadToken
from api.tokens import Claims, Tokens
from daybook.keys import signing_keys
from daybook.keys.signing_keys import KeyRing, SigningKey, key_file, rotate, write
from daybook.keys.signing_keys import signing_keys as keys_of
from daybook.settings import Settings, SettingsError
from tests.daybook.conftest import Typed

OLD, NEW = "old-0123456789abcdefghijklmnopqrstuv", "new-0123456789abcdefghijklmnopqrstuv"
CLAIMS = Claims(uuid4(), uuid4(), "customer", 1)


def at_once(_seconds: float) -> None:
    """Wait for nobody."""


def test_development_makes_one_key_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: tuple(keys_of(settings)), range(32)))
    assert len(made) == 1
    folder = tmp_path / "var" / "secrets"
    assert [path.name for path in folder.iterdir()] == ["jwt"]
    assert (folder / "jwt").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    ["half", "", "\n", "changeme" * 8, f"{OLD} until noon", f"{OLD} until 2030-01-01T00:00:00Z"],
)
def test_a_damaged_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SettingsError, match="damaged") as caught:
        keys_of(Settings(jwt_secret_file=path))
    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_named_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        keys_of(Settings(jwt_secret_file=tmp_path / "keys"))


def test_of_several_secrets_in_the_settings_the_first_signs() -> None:
    found = Settings.from_environment({"DAYBOOK_JWT_SECRET": f" {NEW}  {OLD} "})
    assert [key.secret for key in keys_of(found)] == [NEW, OLD]
    with pytest.raises(SettingsError, match="DAYBOOK_JWT_SECRET=\\*\\*\\* is not"):
        Settings.from_environment({"DAYBOOK_JWT_SECRET": f"{NEW} short"})
    with pytest.raises(SettingsError, match="restart every process"):
        rotate(found, at_once)


def test_a_rotation_signs_with_a_new_key_and_logs_nobody_out(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    ring = KeyRing(settings)
    tokens = Tokens(ring.by_name, ring.signs)
    before = tokens.issue(CLAIMS)
    first = ring.signs
    seen: list[str] = []

    def settle(_seconds: float) -> None:
        # Between the steps the old key signs, and the new one is accepted.
        assert ring.look()
        assert ring.signs == first
        seen.extend(ring.by_name)

    keys = rotate(settings, settle)
    assert ring.look()
    assert ring.signs == keys[0].name == seen[1]
    assert list(ring.by_name) == [keys[0].name, first]
    tokens.use(ring.by_name, ring.signs)
    assert tokens.verify(before).user_id == CLAIMS.user_id
    assert tokens.verify(tokens.issue(CLAIMS)).user_id == CLAIMS.user_id
    assert keys[1].until is not None
    assert timedelta(days=1) < keys[1].until - datetime.now(UTC) < timedelta(days=1, minutes=11)
    assert key_file(settings).stat().st_mode & 0o777 == 0o600
    assert not ring.look()


def test_a_key_whose_time_is_over_is_no_longer_accepted(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    past = datetime.now(UTC) - timedelta(seconds=1)
    write(path, [SigningKey(NEW), SigningKey(OLD, past)])
    ring = KeyRing(Settings(jwt_secret_file=path))
    assert [key.secret for key in ring.keys] == [NEW]
    old = Tokens({"old": OLD.encode()}, "old").issue(CLAIMS)
    with pytest.raises(BadToken):
        Tokens(ring.by_name, ring.signs).verify(old)
    rotate(Settings(jwt_secret_file=path), at_once)
    assert OLD not in path.read_text()


def test_a_rotation_that_was_killed_goes_on_with_the_key_that_it_had_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    keys_of(settings)

    def killed(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(settings, killed)
    prepared = keys_of(settings)[1].secret
    assert rotate(settings, at_once)[0].secret == prepared


def test_what_is_no_longer_readable_changes_nothing_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write(path, [SigningKey(OLD)])
    ring = KeyRing(Settings(jwt_secret_file=path))
    path.write_text("half")
    assert not ring.look()
    path.unlink()
    assert not ring.look()
    assert ring.secrets() == [OLD.encode()]


def test_a_running_process_hears_of_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "LOOK_SECONDS", 0.01)
    settings = Settings(data_dir=tmp_path)
    ring = KeyRing(settings)

    async def follow() -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        async with ring.following(lambda: told.put_nowait(ring.signs)), asyncio.timeout(10):
            rotating = asyncio.to_thread(rotate, settings, lambda _: heard.wait(10))
            task = asyncio.create_task(rotating)
            assert await told.get() == ring.keys[0].name  # it is accepted, and does not sign yet
            heard.set()
            assert await told.get() == (await task)[0].name

    heard = threading.Event()
    asyncio.run(follow())


def test_the_command_line_rotates_and_shows_names_alone(
    typed: Typed, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "SETTLE_SECONDS", 0.01)
    first = typed("keys", "list", "--json")
    rotated = typed("keys", "rotate", "--json")
    assert (first.returncode, rotated.returncode) == (0, 0), rotated.stderr
    (before,), after = keys_shown(first.stdout), keys_shown(rotated.stdout)
    assert [one["use"] for one in after] == ["signs", "verifies"]
    assert after[1]["name"] == before["name"]
    shown = typed("keys", "list").stdout + first.stdout + rotated.stdout
    text = Path(environment["DAYBOOK_DATA_DIR"], "secrets", "jwt").read_text()
    assert not any(line.split()[0] in shown for line in text.splitlines())
    with psycopg.connect(environment["DAYBOOK_DATABASE_URL"]) as connection:
        (recorded,) = connection.execute("select kind, agent from sign_ins").fetchall()
        (listed,) = connection.execute("select kind, action from audit_accesses").fetchall()
    assert recorded[0] == "keys_rotated"
    assert "operator:" in recorded[1]
    assert listed == ("operation", "keys_rotated")
    refused = typed("keys", "rotate", DAYBOOK_JWT_SECRET=OLD)
    assert refused.returncode == 2
    assert "restart every process" in refused.stderr


def keys_shown(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["keys"]
    return found


def test_the_command_line_shows_who_signed_in(typed: Typed, environment: dict[str, str]) -> None:
    user = uuid4()
    with psycopg.connect(environment["DAYBOOK_DATABASE_URL"]) as connection:
        for kind in ("failed", "signed_in"):
            connection.execute(
                "insert into sign_ins (kind, user_id, network, address, agent, request_id)"
                " values (%s, %s, 'n', '198.51.100.7', 'browser', 'r')",
                [kind, user],
            )
    told = typed("audit", "sign-ins", "--user", str(user), "--limit", "1", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert [one["kind"] for one in found["sign_ins"]] == ["signed_in"]
    assert found["more"] is True
    shown = typed("audit", "sign-ins", "--kind", "failed")
    assert "198.51.100.7" in shown.stdout
    assert typed("audit", "sign-ins", "--kind", "nonsense").returncode == 2
