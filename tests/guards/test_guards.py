"""The table of guards is true of the program, and a trial tells what it shows from what not."""

import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from tests.guards.guard import ROOT, Guard
from tests.guards.table import GUARDS
from tests.guards.trial import Bench
from tests.guards.verdict import Verdict, verdict
from tests.guards.witness import Seen
from tests.stories.running import wait_until

NO_SERVER = "postgresql://nobody@127.0.0.1:1/none"
NAMED = {one.name: one for one in GUARDS}
WITHOUT_SERVICES = NAMED["one-rebuild-at-a-time"]


@cache
def text_of(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_where_the_table_says_and_so_is_its_test(guard: Guard) -> None:
    """Who rewords a guard, renames its test or its line, has to say so in the table."""
    assert guard.stands
    tests = text_of(guard.test_file)
    assert re.search(rf"^(async )?def {guard.test_function}\(", tests, re.MULTILINE)
    assert re.search(rf"^ +{re.escape(guard.red_at)}", tests, re.MULTILINE)


def test_there_are_many_guards() -> None:
    """A table that cannot be read would keep none of them."""
    assert len(GUARDS) > 170


LINE = f"    some test\n>       {WITHOUT_SERVICES.red_at}\nE       and why"
ELSEWHERE = "    some test\n>       assert that\nE       and why"
LATE = f"{LINE}\nE       Failed: Timeout (>60.0s) from pytest-timeout."
GREEN = Seen("t", "call", "passed")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], Verdict.NOT_RUN),
        ([Seen("t", "setup", "skipped")], Verdict.NOT_RUN),
        ([GREEN], Verdict.GREEN),
        ([GREEN, Seen("t", "call", "failed", LINE)], Verdict.RED),
        ([Seen("t", "call", "failed", ELSEWHERE)], Verdict.ELSEWHERE),
        ([Seen("t", "setup", "failed", LINE)], Verdict.ELSEWHERE),
        ([Seen("t", "call", "failed", LATE)], Verdict.HUNG),
    ],
)
def test_red_is_only_what_is_red_where_it_must_be(seen: list[Seen], expected: Verdict) -> None:
    assert verdict(WITHOUT_SERVICES, seen) is expected


def test_a_trial_is_red_without_the_guard_and_green_with_it(tmp_path: Path) -> None:
    tried = [
        WITHOUT_SERVICES,
        replace(WITHOUT_SERVICES, name="kept", instead=WITHOUT_SERVICES.text),
        replace(WITHOUT_SERVICES, name="broken", instead="no Python"),
    ]
    before = text_of(WITHOUT_SERVICES.file)
    ready = Bench(tmp_path, NO_SERVER)
    assert [one.outcome for one in ready.whole(tried).seen] == ["passed"] * 3
    assert {one.guard.name: one.verdict for one in ready.trials(tried, 3)} == {
        WITHOUT_SERVICES.name: Verdict.RED,
        "kept": Verdict.GREEN,
        "broken": Verdict.NOT_RUN,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]
    assert (ROOT / WITHOUT_SERVICES.file).read_text(encoding="utf-8") == before


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.guards", "--only", WITHOUT_SERVICES.name]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as running:
        wait_until(lambda: any(tmp_path.glob("*/whole/output")), 60)
        known = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert (running.returncode, said.splitlines()[-1]) == (130, b"Stopped; nothing of it is left.")
    assert len(known) > 3
    assert psutil.wait_procs(known, 10)[1] == []
    assert [*tmp_path.glob("daybook-guards-*")] == []
