"""The master key is made once in development, and never in the place of one that is lost."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daybook.keys.master_key import master_secrets
from daybook.settings import Settings, SettingsError

SECRET = "q8Zp3vX1mN7tR5wK2yB9dF4gH6jL0sAc"


def test_development_makes_one_master_key_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    with ThreadPoolExecutor(8) as pool:
        made = {tuple(found) for found in pool.map(lambda _: master_secrets(settings), range(16))}
    assert made == {tuple(master_secrets(settings))}
    kept = tmp_path / "var" / "secrets" / "master"
    assert kept.stat().st_mode & 0o077 == 0


def test_no_master_key_is_made_in_the_place_of_one_that_is_lost(tmp_path: Path) -> None:
    lost = Settings(master_key_file=tmp_path / "master")
    with pytest.raises(SettingsError, match="cannot be read"):
        master_secrets(lost)
    (tmp_path / "master").write_text("cut sho")
    with pytest.raises(SettingsError, match="holds no master keys"):
        master_secrets(lost)


def test_a_master_key_file_has_the_newest_secret_first(tmp_path: Path) -> None:
    file = tmp_path / "master"
    file.write_text(f"{SECRET}\n{SECRET[::-1]}\n")
    assert master_secrets(Settings(master_key_file=file)) == [SECRET, SECRET[::-1]]
