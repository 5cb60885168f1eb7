"""The command line: help, exit codes, a sentence for what is wrong, JSON for programs."""

import asyncio
import fcntl
import gzip
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from daybook.cli import app
from daybook.command_line.operator_commands import operator
from daybook.first_admin import ensure_first_admin
from daybook.notary import attest
from daybook.processes.programs import address, answers
from daybook.services import ServiceError, Services
from daybook.settings import Settings
from event_store.connections import connect
from projections.switched_on import PROJECTIONS
from tests.commands.given import registered, working_on
from tests.conftest import tampering
from tests.daybook.conftest import Told, Typed
from tests.event_store.evidence.given import SEED
from tests.event_store.given import keyring, rows
from tests.stories.running import wait_until

HEADER = "invoice,sku,name,quantity,unit_price,placed_at,customer,currency"
LINES = [
    "A-1,TEA-1,Tea,2,4.20,2024-01-01,ada,GBP",
    "A-2,MUG-1,Mug,1,3,2024-01-02,eve,GBP",
    "C-3,MUG-1,Mug,-1,3,2024-01-03,eve,GBP",
    "A-4,MUG-1,Mug,1,3,2024-01-03,,GBP",
]
CONNECTED = "select application_name from pg_stat_activity where datname = current_database()"
LONG = 1_500
SECRET = {"DAYBOOK_ADMIN_PASSWORD": "a password for tests"}


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """Write a file of orders."""
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([HEADER, *LINES]))
    return path


def commands(group: Any, *names: str) -> list[Sequence[str]]:
    """Return the names of all commands below a group, and the group's own."""
    below = getattr(group, "commands", {})
    found = [line for name, one in below.items() for line in commands(one, *names, name)]
    return [names, *found]


def sentence(told: Told, code: int = 2) -> str:
    """Return what a command says when it ends with a code: a sentence and nothing else."""
    assert told.returncode == code, told.stderr
    assert told.stdout == ""
    assert told.stderr.startswith("daybook: ")
    assert told.stderr.count("\n") == 1, told.stderr
    return told.stderr


def one_object(told: Told, code: int = 0) -> dict[str, Any]:
    """Return the only thing that a command wrote on standard output, a JSON object in a line."""
    assert told.returncode == code, told.stderr
    assert told.stdout.count("\n") == 1
    found = json.loads(told.stdout)
    assert isinstance(found, dict)
    return found


def change(database_url: str, statement: LiteralString) -> None:
    """Change the database behind everybody's back."""
    with tampering(database_url) as connection:
        connection.execute(statement)


ALL_COMMANDS = commands(get_command(app))


def each(line: str) -> list[str]:
    """Return the commands of a line of the table, which may join some: keys list|rotate."""
    *group, last = line.split(" ")
    verbs = last.split("\\|") if last.islower() else [""]
    return [" ".join([*group, verb]) for verb in verbs]


def test_there_is_every_command_that_is_documented() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    documented = {
        one
        for line in readme.splitlines()
        for one in each(line.removeprefix("| `daybook ").partition("`")[0].partition(" --")[0])
        if line.startswith("| `daybook ")
    }
    leaves = {" ".join(words) for words in ALL_COMMANDS}
    names = {" ".join(word for word in one.split() if word.islower()) for one in documented}
    assert names <= leaves
    assert len(names) > 8


@pytest.mark.parametrize("words", ALL_COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(words: Sequence[str], option: str) -> None:
    told = CliRunner().invoke(app, [*words, option])
    assert told.exit_code == 0
    assert "Usage:" in told.stdout
    assert "--help" in told.stdout


def test_help_comes_without_loading_the_servers() -> None:
    script = "import sys, daybook.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    modules = set(loaded.stdout.decode().split())
    assert not modules & {"granian", "litestar", "sqlalchemy", "psycopg", "dramatiq", "redis"}


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["projections", "rebuild"],
        ["import", "orders"],
        ["serve", "--side", "left"],
        ["up", "--nonsense"],
    ],
)
def test_what_cannot_be_typed_ends_with_2(words: list[str]) -> None:
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 2
    assert "Usage:" in told.output


def test_bad_settings_are_refused_by_name_before_anything_is_done(
    typed: Typed, tmp_path: Path
) -> None:
    told = typed("projections", "status", DAYBOOK_PORT="eighty", DAYBOOK_PRT="80")
    assert told.returncode == 2
    assert told.stdout == ""
    assert "DAYBOOK_PORT=eighty is not a port from 1 to 65535." in told.stderr
    assert "DAYBOOK_PRT is not a setting of Daybook; did you mean DAYBOOK_PORT?" in told.stderr
    assert len(told.stderr.splitlines()) == 2
    assert not (tmp_path / "var").exists()


def test_a_projection_that_is_none_is_told_with_those_there_are(typed: Typed) -> None:
    said = sentence(typed("projections", "rebuild", "sale"))
    assert said == (
        f"daybook: There is no projection sale: choose all or one of {', '.join(PROJECTIONS)}.\n"
    )


def test_a_file_that_is_none_of_orders_is_told_in_a_sentence(
    typed: Typed, tmp_path: Path, orders: Path
) -> None:
    """The services are not asked, so these take no longer than Python does."""
    assert "There is no file no.csv." in sentence(typed("import", "orders", "no.csv"))
    assert "There is no file " in sentence(typed("import", "orders", str(tmp_path)))
    said = sentence(typed("import", "orders", str(orders), "--format", "xml"))
    assert "There is no format xml: choose one of online-retail, daybook." in said


def test_a_file_that_cannot_be_read_as_orders_is_told_in_a_sentence(
    typed: Typed, tmp_path: Path, database_url: str
) -> None:
    picture, torn = tmp_path / "picture.png", tmp_path / "torn.csv.gz"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    torn.write_bytes(gzip.compress("\n".join([HEADER, *LINES * 999]).encode())[:-20])
    assert "This is not a CSV file of orders" in last(typed("import", "orders", str(picture)))
    said = last(typed("import", "orders", str(torn)))
    assert "The file ends or breaks at line" in said
    assert rows(database_url, "select count(*) > 0 from events") == [(True,)]


def last(told: Told) -> str:
    """Return the last line of what a command says that has shown a bar before it failed."""
    assert told.returncode == 2
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    line = told.stderr.splitlines()[-1]
    assert line.startswith("daybook: ")
    return line


def test_the_file_to_import_is_not_overwritten_by_its_refused_lines(
    typed: Typed, orders: Path
) -> None:
    content = orders.read_text()
    said = sentence(typed("import", "orders", str(orders), "--rejects", f"./{orders.name}"))
    assert "is the file to import: choose another" in said
    assert orders.read_text() == content


def test_where_refused_lines_cannot_be_written_is_told(typed: Typed, orders: Path) -> None:
    below = f"{orders}/rejects.csv"
    told = typed("import", "orders", str(orders), "--rejects", below)
    assert "cannot be used: " in sentence(told)


def test_an_import_tells_one_object_and_writes_the_refused_lines(
    typed_apart: Typed, orders: Path, tmp_path: Path, database_url: str
) -> None:
    told = one_object(typed_apart("import", "orders", str(orders), "--json"))
    assert (told["lines read"], told["lines accepted"], told["lines refused"]) == (4, 2, 2)
    assert (told["orders new"], told["customers new"], told["products new"]) == (2, 2, 2)
    listed = "select kind, action, rows, actor_id like 'operator:%%' from audit_accesses"
    assert rows(database_url, listed) == [("operation", "import_orders", 2, True)]
    rejects = tmp_path / "var" / "imports" / "orders.csv.rejects.csv"
    assert told["refused lines are in"] == str(rejects)
    assert rejects.read_text().splitlines() == [
        "line,invoice,reason",
        "4,C-3,invoice cancelled",
        "5,A-4,no customer",
    ]
    again = typed_apart("import", "orders", str(orders))
    assert again.returncode == 0
    assert f"refused lines are in  {rejects}\n" in again.stdout  # in one line, however long it is


def test_an_import_ends_with_ctrl_c_and_says_so(
    environment: dict[str, str], tmp_path: Path, database_url: str
) -> None:
    path = tmp_path / "many.csv"
    path.write_text("\n".join([HEADER, *(f"A-{n}{LINES[0][3:]}" for n in range(60_000))]))
    with subprocess.Popen(
        [sys.executable, "-m", "daybook", "import", "orders", str(path)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as importing:
        while rows(database_url, "select position from log_head")[0][0] < 100:
            time.sleep(0.01)
        importing.send_signal(signal.SIGINT)
        _, said = importing.communicate(timeout=60)
    assert importing.returncode == 130  # 128 + SIGINT, as shells count
    assert "Traceback" not in said


def test_the_status_of_every_view_is_one_object(typed: Typed) -> None:
    told = one_object(typed("projections", "status", "--json"))
    assert {one["name"] for one in told["projections"]} == set(PROJECTIONS)
    assert all(one["lagEvents"] == 0 for one in told["projections"])
    assert all(one["lastError"] is None for one in told["projections"])
    assert {one["state"] for one in told["projections"]} == {"live"}


def test_a_view_that_stands_still_is_shown_with_its_reason_and_1(
    typed: Typed, database_url: str
) -> None:
    """The reason is the text of an exception: it may hold what looks like markup."""
    reason = "LookupError: orders_v1 has no row ([/bold]) [red]"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update projection_checkpoints set failure = %s where name = 'orders'", [reason]
        )
    told = one_object(typed("projections", "status", "--json"), 1)
    failures = {one["name"]: one["lastError"] for one in told["projections"]}
    assert failures == dict.fromkeys(PROJECTIONS) | {"orders": reason}
    shown = typed("projections", "status")
    assert shown.returncode == 1
    assert f"\norders stands still: {reason}\n" in shown.stdout


def test_a_rebuild_of_all_is_one_object(
    typed: Typed, typed_apart: Typed, database_url: str, orders: Path
) -> None:
    assert typed("import", "orders", str(orders)).returncode == 0
    told = one_object(typed_apart("projections", "rebuild", "all", "--json"))
    assert [one["name"] for one in told["projections"]] == list(PROJECTIONS)
    made = {table: rows for one in told["projections"] for table, rows in one["rows"].items()}
    assert made["orders_v1"] == {"before": 2, "now": 2}
    shown = typed("projections", "compare", "orders", "--reason", "is it so?")
    assert shown.returncode == 0
    assert "orders_v1" in shown.stdout
    asked = "select actor_id like 'operator:%%', actor_role, data ->> 'reason' from events"
    newest = "where name = 'projection.rebuild_requested' order by position desc limit 1"
    (why,) = rows(database_url, f"{asked} {newest}")
    assert why == (True, "system", "is it so?")


def test_a_view_is_paused_and_resumed_and_a_second_pause_is_refused(typed: Typed) -> None:
    assert typed("projections", "pause", "orders", "--reason", "disk").returncode == 0
    told = one_object(typed("projections", "status", "orders", "--json"))
    assert [(one["name"], one["state"]) for one in told["projections"]] == [("orders", "paused")]
    assert sentence(typed("projections", "pause", "orders"), 1).endswith("paused already.\n")
    assert typed("projections", "resume", "orders").returncode == 0
    asked = one_object(typed("projections", "operations", "orders", "--json"))["operations"]
    found = [(one["action"], one["reason"], one["outcome"]) for one in asked[:2]]
    assert found == [
        ("resume", "asked for on the command line", "done"),
        ("pause", "disk", "done"),
    ]
    assert asked[0]["projection"] == "orders"
    assert "disk" in typed("projections", "operations").stdout


def test_a_view_that_is_further_behind_than_it_may_be_is_1(typed: Typed, orders: Path) -> None:
    assert typed("projections", "pause", "orders").returncode == 0
    assert typed("import", "orders", str(orders)).returncode == 0
    assert typed("projections", "status").returncode == 0
    told = typed("projections", "status", "--max-lag-events", "1")
    assert told.returncode == 1
    assert "orders is " in told.stdout
    assert typed("projections", "status", "--max-lag-seconds", "3600").returncode == 0


def test_what_destroys_is_asked_about_first(typed: Typed) -> None:
    assert typed("projections", "prune", "orders").returncode == 1
    assert typed("projections", "prune", "orders", "--yes").returncode == 0
    told = typed("projections", "rollback", "orders", "--yes")
    assert told.returncode == 1
    assert "refused" in told.stdout


def the_end(told: Told) -> dict[str, Any]:
    """Return what came of the one thing that was asked; typed in this process, logs precede it."""
    assert told.returncode == 0, told
    (end,) = json.loads(told.stdout.splitlines()[-1])["projections"]
    assert isinstance(end, dict)
    return end


def test_what_is_held_is_looked_at_and_swapped_in_by_hand(
    typed: Typed, database_url: str, orders: Path
) -> None:
    """No worker lives: each command does its part of the work by itself."""
    assert typed("import", "orders", str(orders)).returncode == 0
    change(database_url, "delete from orders_v1 where reference = 'A-1'")
    (end,) = one_object(typed("projections", "rebuild", "orders", "--hold", "--json"))[
        "projections"
    ]
    assert (end["outcome"], end["comparison"]["equal"]) == ("held", False)
    assert end["rows"] == {"orders_v1": {"before": 1, "now": 2}}
    assert "swap orders" in end["detail"]
    (stands,) = one_object(typed("projections", "status", "orders", "--json"))["projections"]
    assert (stands["state"], stands["rebuild"]["state"]) == ("rebuilding", "ready")
    assert sentence(typed("projections", "rebuild", "orders"), 1).endswith("cancel it first.\n")
    slower = the_end(typed("projections", "throttle", "orders", "20", "--json"))
    assert slower["detail"] == "Builders work in 20 percent of the time."
    assert rows(database_url, "select count(*) from orders_v1") == [(1,)]
    assert the_end(typed("projections", "swap", "orders", "--json"))["rows"] == end["rows"]
    assert rows(database_url, "select count(*) from orders_v1") == [(2,)]
    back = typed("projections", "rollback", "orders", "--yes", "--reason", "it was right")
    assert (back.returncode, "read again" in " ".join(back.stdout.split())) == (0, True)
    assert rows(database_url, "select count(*) from orders_v1") == [(1,)]


def test_a_rebuild_is_given_up_and_nothing_is_left_to_swap(typed: Typed) -> None:
    assert typed("projections", "rebuild", "users", "--hold").returncode == 0
    assert typed("projections", "cancel", "users").returncode == 1  # nobody says yes
    assert typed("projections", "cancel", "users", "--yes").returncode == 0
    (stands,) = one_object(typed("projections", "status", "users", "--json"))["projections"]
    assert (stands["state"], stands["rebuild"]) == ("live", None)
    for words in (["swap", "users"], ["cancel", "users", "-y"], ["throttle", "users", "50"]):
        told = typed("projections", *words)
        assert (told.returncode, "refused" in told.stdout) == (1, True), told
    assert typed("projections", "throttle", "users", "4").returncode == 2


def test_an_event_is_left_out_by_hand(typed: Typed, database_url: str, orders: Path) -> None:
    change(database_url, "alter table orders_v1 add constraint poor check (total < 5)")
    assert typed("import", "orders", str(orders)).returncode == 0
    (failure,) = one_object(typed("failures", "list", "--json"))["failures"]
    position = str(failure["position"])
    assert typed("failures", "skip", "orders", position).returncode == 1  # nobody says yes
    end = the_end(typed("failures", "skip", "orders", position, "--yes", "--json"))
    assert end["detail"] == f"Event {position} left out, 0 applied, 0 still waiting."
    assert one_object(typed("failures", "list", "--json")) == {"failures": []}
    assert typed("projections", "status").returncode == 0
    again = typed("failures", "retry", "orders", position)
    assert (again.returncode, "refused" in again.stdout) == (1, True)


class Screen:
    """A terminal that a command writes to, and what has been on it since something was found."""

    def __init__(self) -> None:
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.seen = bytearray()

    def read(self) -> str:
        """Return what is to be read, without what only moves the cursor and colours."""
        patience = 0.1
        while select.select([self._master], [], [], patience)[0]:
            self.seen.extend(os.read(self._master, 65_536))  # a terminal gives less at once
            patience = 0.0
        return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", bytes(self.seen)).decode(errors="ignore")

    def shows(self, text: str) -> bool:
        """Tell whether a text has been on the screen since the last time."""
        if text in self.read():
            self.seen.clear()
            return True
        return False

    def close(self) -> None:
        """Take the terminal away."""
        os.close(self.slave)
        os.close(self._master)


@contextmanager
def on_a_screen(
    environment: dict[str, str], *words: str
) -> Iterator[tuple["subprocess.Popen[bytes]", Screen]]:
    """Type a command at a terminal of its own."""
    screen = Screen()
    given = {"stdin": screen.slave, "stdout": screen.slave, "stderr": screen.slave}
    typed = [sys.executable, "-m", "daybook", *words]
    with subprocess.Popen(typed, env=environment, start_new_session=True, **given) as running:
        try:
            yield running, screen
        finally:
            running.kill()
            screen.close()


def test_status_is_watched_on_a_screen_until_ctrl_c(
    environment: dict[str, str], database_url: str
) -> None:
    words = ("projections", "status", "--watch", "0.2")
    with on_a_screen(environment, *words) as (watching, screen):
        wait_until(lambda: screen.shows("orders v1"), 30)
        pause = "update projection_versions set paused_at = now() where name = 'orders'"
        rows(database_url, f"{pause} returning name")
        wait_until(lambda: screen.shows("paused"), 30)
        reason = "update projection_checkpoints set failure = 'so it is' where name = 'users'"
        rows(database_url, f"{reason} returning name")
        wait_until(lambda: screen.shows("users stands still: so it is"), 30)
        os.killpg(watching.pid, signal.SIGINT)
        assert watching.wait(60) == 1  # as it stood when it was last looked at
        screen.read()
        assert b"Traceback" not in screen.seen


def test_bars_move_on_a_screen(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """Of an import, a rebuild and a verification: on their way, to the end, and never back."""
    file = tmp_path / "many.csv"
    many = [f"{n},TEA-{n % 50},Tea,2,4.20,2024-01-01,ada-{n % 90},GBP" for n in range(LONG)]
    file.write_text("\n".join([HEADER, *many]))
    size = f"/{file.stat().st_size / 1_000:.1f} kB"
    places = places_of_bar(environment, rf"([\d.]+){size}", "import", "orders", str(file))
    assert len(places) > 2
    assert places[-1] == round(file.stat().st_size / 1_000, 1)
    places = places_of_bar(
        environment, r"(\d+)%", "projections", "rebuild", "orders", "--throttle", "10"
    )
    assert len(places) > 1
    assert places[-1] == 100
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path / "var" / "audit", datetime.now(UTC))
    places = places_of_bar(environment, r"(\d+)/[\d?]+", "audit", "verify")
    assert len(places) > 1
    assert places[-1] > LONG


def places_of_bar(environment: dict[str, str], found: str, *words: str) -> list[float]:
    """Type a command at a terminal; return where its bar was, each place once, in order."""
    with on_a_screen(environment, *words) as (running, screen):
        while running.poll() is None:
            screen.read()
        told = screen.read()
    assert running.returncode == 0, told[-500:]
    assert "\u2501" in told, told[-500:]
    places = [float(one) for one in re.findall(found, told)]
    assert places == sorted(places)
    return list(dict.fromkeys(places))


def test_status_is_watched_as_a_line_of_json_each_time(
    environment: dict[str, str], tmp_path: Path
) -> None:
    watch = [sys.executable, "-m", "daybook", "projections", "status", "--watch", "0.2", "--json"]
    with subprocess.Popen(watch, env=environment, stdout=subprocess.PIPE, cwd=tmp_path) as watching:
        assert watching.stdout is not None
        lines = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 0
    assert all({one["name"] for one in line["projections"]} == set(PROJECTIONS) for line in lines)


def test_there_are_no_failures_until_something_fails(typed: Typed) -> None:
    assert one_object(typed("failures", "list", "--json")) == {"failures": []}
    assert "parked behind" in sentence(typed("failures", "show", "orders", "7"))


def test_a_view_that_cannot_be_made_anew_is_told_and_the_old_one_stays(
    typed: Typed, typed_apart: Typed, database_url: str, orders: Path
) -> None:
    assert typed("import", "orders", str(orders)).returncode == 0
    change(database_url, "update events set data = '{}' where name = 'order.imported'")
    told = one_object(typed_apart("projections", "rebuild", "sales_by_customer", "--json"), 1)
    (end,) = told["projections"]
    assert end["outcome"] == "failed"
    assert "Event 3 cannot be applied" in end["detail"]
    again = ("projections", "rebuild", "sales_by_customer", "--dry-run", "--park")
    (end,) = one_object(typed_apart(*again, "--json"))["projections"]
    assert (end["failures"], end["firstFailures"][0]["position"]) == (2, 3)
    assert end["seconds"] > 0
    assert "First of 2 failures" in typed(*again).stdout
    assert rows(database_url, "select sum(orders) from sales_by_customer_v1") == [(2,)]


def test_what_a_view_cannot_take_is_parked_shown_and_retried_and_logs_keep_to_stderr(
    typed: Typed, typed_apart: Typed, database_url: str, orders: Path
) -> None:
    change(database_url, "alter table orders_v1 add constraint poor check (total < 5)")
    told = typed_apart("import", "orders", str(orders), "--json")
    assert told.returncode == 0
    logged = [json.loads(line) for line in told.stderr.splitlines() if line.startswith("{")]
    assert {one["event"] for one in logged} == {"event_parked"}
    shown = typed("projections", "status")
    assert shown.returncode == 1
    assert "orders has 1 parked events" in shown.stdout
    (failure,) = one_object(typed("failures", "list", "orders", "--json"))["failures"]
    assert "CheckViolation" in failure["error"]
    position = str(failure["position"])
    assert '"reference": "A-1"' in typed("failures", "show", "orders", position).stdout
    change(database_url, "alter table orders_v1 drop constraint poor")
    again = typed("failures", "retry", "orders", position, "--reason", "the check is gone")
    assert again.returncode == 0
    assert "1 event applied, 0 still waiting." in " ".join(again.stdout.split())
    assert rows(database_url, "select count(*) from orders_v1") == [(2,)]
    assert typed("projections", "status").returncode == 0


def test_an_administrator_is_made_once(typed: Typed, database_url: str) -> None:
    email = "root@daybook.example"
    made = typed("users", "create-admin", "--email", email, **SECRET)
    assert made.returncode == 0, made.stderr
    found = "select stream_id, data ->> 'role' from events where name = 'user.registered'"
    [(user_id, role)] = rows(database_url, found)
    assert made.stdout == f"Administrator {email} has the id {user_id}.\n"
    assert role == "admin"
    taken = typed("users", "create-admin", "--email", email.upper(), **SECRET)
    said = sentence(taken, 1)
    assert said == "daybook: This e-mail address belongs to another account.\n"
    assert len(rows(database_url, found)) == 1


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("nobody", SECRET["DAYBOOK_ADMIN_PASSWORD"], "This is not an e-mail address."),
        ("root@daybook.example", "short", "A password has 8 to 128 characters."),
    ],
)
def test_an_administrator_needs_an_address_and_a_password(
    typed: Typed, email: str, password: str, said: str
) -> None:
    told = typed("users", "create-admin", "--email", email, DAYBOOK_ADMIN_PASSWORD=password)
    assert sentence(told, 1) == f"daybook: {said}\n"


def test_processes_that_start_at_once_make_one_first_administrator(
    database_url: str, redis_url: str
) -> None:
    """One of them tells the password, and the others come up as well."""
    found = Services(database_url, redis_url, keyring())
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_first_admin(Settings(), found), range(4)))
    assert [admin.made_up for admin in made if admin] == [True]
    assert ensure_first_admin(Settings(), found) is None
    appointed = "select count(*) from events where name = 'administrator.appointed'"
    assert rows(database_url, appointed) == [(1,)]


def test_a_first_administrator_whose_address_is_a_customers_is_told(
    database_url: str, redis_url: str
) -> None:
    asyncio.run(register(database_url, "ada@daybook.example"))
    settings = Settings(admin_email="ada@daybook.example", admin_password="a good password")
    with pytest.raises(ServiceError, match=r"ada@daybook.example .* another DAYBOOK_ADMIN_EMAIL"):
        ensure_first_admin(settings, Services(database_url, redis_url, keyring()))


async def register(database_url: str, email: str) -> None:
    """Open a customer's account."""
    async with working_on(database_url) as tools:
        await registered(tools, email)


def test_without_a_terminal_no_password_can_be_asked_for(typed_apart: Typed) -> None:
    told = typed_apart("users", "create-admin", "--email", "root@daybook.example")
    assert told.returncode == 1
    assert "Traceback" not in told.stderr


def test_a_database_that_cannot_be_reached_is_one_sentence_without_its_password(
    typed: Typed,
) -> None:
    said = sentence(
        typed("projections", "status", DAYBOOK_DATABASE_URL="postgresql://me:hush@127.0.0.1:1/x")
    )
    assert "Postgres at DAYBOOK_DATABASE_URL=postgresql://me:***@127.0.0.1:1/x cannot be" in said


def test_the_workers_end_with_0_when_they_are_told_to_stop(
    environment: dict[str, str], database_url: str
) -> None:
    """As Ctrl-C does it: the signal goes to the whole foreground group."""
    with subprocess.Popen(
        [sys.executable, "-m", "daybook", "work"], env=environment, process_group=0
    ) as working:
        while ("daybook worker",) not in rows(database_url, CONNECTED):
            assert working.poll() is None
            time.sleep(0.05)
        os.killpg(working.pid, signal.SIGINT)
        assert working.wait(60) == 0


def test_the_address_of_the_api_is_one_that_a_browser_finds() -> None:
    assert address(Settings(host="0.0.0.0", port=1)) == "http://127.0.0.1:1"  # noqa: S104 - not bound here
    assert address(Settings(host="::1", port=1)) == "http://[::1]:1"
    assert address(Settings(host="daybook.example", port=1)) == "http://daybook.example:1"


def test_the_api_is_looked_for_here_and_not_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "health").mkdir()
    (tmp_path / "health" / "ready").write_text("{}")
    server = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(
        server, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as serving:
        assert serving.stdout is not None
        port = int(serving.stdout.readline().split()[5])
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert answers(Settings(port=port))
        serving.kill()
    assert not answers(Settings(port=port))


def test_an_operator_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the user's number may stand in no list of users."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert operator().actor_id == f"operator:{os.getuid()}"
