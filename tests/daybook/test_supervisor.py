"""Programs under the supervisor: restarted, stopped in order, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daybook.processes import guard
from daybook.processes.supervisor import ServiceError, StartError, Supervisor

PYTHON = sys.executable


def program(code: str) -> list[str]:
    return [PYTHON, "-I", "-S", "-c", code]


def pid_in(path: Path) -> int:
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def sleeper(path: Path) -> list[str]:
    """Make a program that writes its pid and sleeps."""
    return program(
        f"import os, time; open({str(path)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
    )


def test_a_program_that_dies_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    with Supervisor(tmp_path / "log", say=said.append) as supervisor:
        supervisor.start("api", sleeper(tmp_path / "pid"))
        first = pid_in(tmp_path / "pid")
        (tmp_path / "pid").unlink()
        os.kill(first, signal.SIGKILL)
        second = pid_in(tmp_path / "pid")
    assert second != first
    assert not guard.group_alive(second)
    assert said == ["api ended (killed by SIGKILL); starting it again in 0.2 s."]


def test_children_of_a_dead_program_are_cleared_away(tmp_path: Path) -> None:
    grandchild = sleeper(tmp_path / "grandchild")
    code = f"import subprocess, sys; subprocess.Popen({grandchild!r}); import time; time.sleep(600)"
    with Supervisor(tmp_path / "log", say=lambda _: None) as supervisor:
        supervisor.start("api", program(code))
        orphan = pid_in(tmp_path / "grandchild")
        (tmp_path / "grandchild").unlink()
        os.kill(os.getpgid(orphan), signal.SIGKILL)
        pid_in(tmp_path / "grandchild")
        assert not _runs(orphan)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_programs_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    log = tmp_path / "order"
    with Supervisor(tmp_path / "log") as supervisor:
        for name in ("postgres", "valkey", "workers", "api"):
            code = (
                "import signal, sys, time\n"
                f"def end(*_): open({str(log)!r}, 'a').write('{name} '); sys.exit(0)\n"
                "signal.signal(signal.SIGTERM, end)\n"
                f"open({str(tmp_path / name)!r}, 'w').close()\n"
                "time.sleep(600)"
            )
            supervisor.start(name, program(code), ready=(tmp_path / name).exists)
    assert log.read_text().split() == ["api", "workers", "valkey", "postgres"]


def test_a_program_that_fails_at_its_start_is_told_with_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "log") as supervisor, pytest.raises(StartError) as refused:
        supervisor.start("api", program("raise SystemExit('no port')"), ready=lambda: False)
    assert "api ended: exit code 1" in str(refused.value)
    assert "no port" in str(refused.value)


def test_a_program_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "log") as supervisor:
        with pytest.raises(StartError, match=r"not ready within 0\.5 s"):
            supervisor.start(
                "api",
                sleeper(tmp_path / "pid"),
                ready=lambda: not pid_in(tmp_path / "pid"),  # it has begun, and never is
                within=0.5,
            )
        assert not guard.group_alive(pid_in(tmp_path / "pid"))


@pytest.mark.usefixtures("restore_signals")
def test_a_program_that_keeps_failing_ends_the_supervision(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "log", say=lambda _: None) as supervisor:
        supervisor.start("worker", program("raise SystemExit('no database')"))
        supervisor.start("api", sleeper(tmp_path / "pid"))
        with pytest.raises(ServiceError, match=r"(?s)worker failed 5 times in a row.*no database"):
            supervisor.supervise(lambda: None)
        assert not guard.group_alive(pid_in(tmp_path / "pid"))


@pytest.fixture
def restore_signals() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}


UP = """
import sys
from pathlib import Path
from daybook.processes.supervisor import Supervisor
with Supervisor(Path(sys.argv[1])) as supervisor:
    supervisor.start("stubborn", [sys.executable, "-I", "-S", "-c", sys.argv[2]])
    supervisor.supervise(lambda: print("runs", flush=True))
"""
STUBBORN = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open({path!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
)


def start_up(tmp_path: Path) -> tuple[subprocess.Popen[bytes], int]:
    code = STUBBORN.format(path=str(tmp_path / "pid"))
    process = subprocess.Popen(
        [PYTHON, "-c", UP, str(tmp_path / "log"), code],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"runs\n"
    return process, pid_in(tmp_path / "pid")


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    process, child = start_up(tmp_path)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert guard.group_alive(child)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 3
    assert not guard.group_alive(child)


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    process, child = start_up(tmp_path)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not guard.group_alive(child), 20)


def test_a_killed_guard_is_replaced(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "log") as supervisor:
        supervisor.start("api", sleeper(tmp_path / "pid"))
        child, first = pid_in(tmp_path / "pid"), supervisor._guard
        first.kill()
        wait_for(lambda: supervisor._guard is not first)
        second = supervisor._guard
        assert second.stdin is not None
        supervisor._stopping.set()
        supervisor._watcher.join()
        with Path(os.devnull).open("wb") as nowhere:  # the guard sees its writer end
            os.dup2(nowhere.fileno(), second.stdin.fileno(), inheritable=False)
        wait_for(lambda: not guard.group_alive(child))


def test_a_program_that_has_run_before_is_never_given_up(tmp_path: Path) -> None:
    fails, starts = tmp_path / "fails", tmp_path / "starts"
    code = (
        "import os, sys, time\n"
        f"open({str(starts)!r}, 'a').write('x')\n"
        f"sys.exit(3) if os.path.exists({str(fails)!r}) else time.sleep(600)"
    )
    with Supervisor(tmp_path / "log", say=lambda _: None) as supervisor:
        supervisor.start("postgres", program(code), ready=starts.exists)
        fails.touch()
        [child] = supervisor._children
        child.process.kill()
        child.delay = 0.01
        for number in range(2, 9):
            wait_for(lambda number=number: len(starts.read_text()) >= number)
            child.delay = 0.01
        fails.unlink()
        wait_for(lambda: child.restart_at is None and child.process.poll() is None)
        assert supervisor._failure is None
