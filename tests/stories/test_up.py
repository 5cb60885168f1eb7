"""`daybook up`: one command starts everything, and nothing of it is left behind."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.folders import folder_for_services
from tests.stories.running import (
    Running,
    data_of,
    free_port,
    running_daybook,
    wait_until,
)

pytestmark = pytest.mark.timeout(600)

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def limited() -> Iterator[Running]:
    """Run a Daybook with the limit of requests that it has by itself."""
    with running_daybook(DAYBOOK_RATE_LIMIT="100/15min") as daybook:
        yield daybook


def test_data_is_kept_and_nothing_runs_after_ctrl_c() -> None:
    with folder_for_services() as folder:
        daybook = Running(folder)
        daybook.start()
        with daybook.client() as anyone:
            body = {"email": "ada@daybook.example", "password": "a password", "name": "Ada"}
            assert anyone.post("/users", json=body).status_code == 201
        assert daybook.stop() == 0
        assert daybook.processes() == []
        daybook.start()
        daybook.log_in("ada@daybook.example", "a password")
        assert daybook.stop(signal.SIGTERM) == 0
        assert daybook.processes() == []


def test_nothing_is_left_behind_when_it_is_killed() -> None:
    with folder_for_services() as folder:
        daybook = Running(folder)
        daybook.start()
        assert len(daybook.processes()) > 4
        daybook.stop(signal.SIGKILL)
        wait_until(lambda: daybook.processes() == [], 60)


def test_killed_parts_come_back_by_themselves() -> None:
    with running_daybook() as daybook:
        admin = daybook.log_in()
        for victim in (r"daybook\.worker", r"daybook serve", r"valkey-server", r"postgres -D"):
            daybook.kill(victim)
            wait_until(lambda: answers(daybook), 60)
            price = {"amount": "1.00", "currency": "GBP"}
            body = {"sku": f"A-{time.time_ns()}", "name": "Tea", "price": price, "stock": None}
            product = data_of(admin.post("/products", json=body))["id"]
            wait_until(
                lambda product=product: admin.get(f"/products/{product}").status_code == 200,
                60,
            )


def answers(daybook: Running) -> bool:
    """Tell whether the API says that it is ready."""
    try:
        return httpx.get(f"http://127.0.0.1:{daybook.port}/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def test_a_second_one_on_the_same_folder_is_told_so(limited: Running) -> None:
    other = Running(limited.folder)
    second = other.run("up", seconds=30)
    assert second.returncode == 2
    assert re.search(r"in use by `daybook up` \(pid \d+\)", second.stderr)
    taken = limited.run("up", seconds=30)
    assert taken.returncode == 2
    assert f"Port {limited.port} on 127.0.0.1 is taken" in taken.stderr


def test_the_tour_of_the_readme_works_as_pasted(limited: Running) -> None:
    block = re.search(r"<!-- tour -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    here = {
        "8000": str(limited.port),
        ".venv/bin/python": sys.executable,
        ".venv/bin/daybook": f"{sys.executable} -m daybook",
    }
    script = re.sub(r"8000|\.venv/bin/\w+", lambda found: here[found[0]], block[1])
    toured = subprocess.run(
        ["bash", "-eu", "-c", script],
        env=limited.environment,
        cwd=limited.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert toured.returncode == 0, toured.stderr
    assert '"status":"shipped"' in toured.stdout
    assert '"stock":8' in toured.stdout
    assert '"revenue":{"amount":"8.40","currency":"GBP"}' in toured.stdout


def test_the_demo_tells_the_events_behind_it(limited: Running) -> None:
    toured = limited.run("demo", seconds=60)
    assert toured.returncode == 0, toured.stderr
    assert "The events behind it" in toured.stdout
    assert "order.shipped" in toured.stdout


def test_an_old_or_absent_database_is_one_sentence() -> None:
    with folder_for_services() as folder:
        daybook = Running(folder)
        daybook.environment["DAYBOOK_DATABASE_URL"] = (
            f"postgresql://u:secret@127.0.0.1:{free_port()}/x"
        )
        answer = daybook.run("up", seconds=60)
        assert answer.returncode == 2
        assert "DAYBOOK_DATABASE_URL" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert "secret" not in answer.stderr
