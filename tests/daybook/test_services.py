"""The embedded services, real ones: started, attached to, healed, and refused with a sentence."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from daybook.embedded import postgres_place
from daybook.given_services import check_redis
from daybook.processes.ports import check_port
from daybook.services import ServiceError, kept_services, services
from daybook.settings import Settings
from tests.stories.running import free_port, wait_until
from tests.valkey import Valkey

SOURCE = Path(__file__).parents[2] / "src"
COMMAND = """
import json, sys, time
from pathlib import Path
import psycopg
from daybook.services import kept_services, services
from daybook.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]))
if sys.argv[2] == "up":
    with kept_services(settings) as (supervisor, found):
        urls = json.dumps([found.database_url, found.redis_url])
        supervisor.supervise(lambda: print(urls, flush=True))
else:
    with services(settings) as found:
        print(json.dumps([found.database_url, found.redis_url]), flush=True)
        with psycopg.connect(found.database_url) as connection:
            connection.execute("select 1")
        sys.stdin.readline()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Make a data directory that any user can reach, so that nothing goes to /var/lib."""
    with tempfile.TemporaryDirectory(prefix="daybook-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "var"


def python_for_everybody() -> str:
    """Find a Python like this one that a normal user can run, though root's may be private."""
    same = f"import sys; sys.exit(sys.version_info != {tuple(sys.version_info)})"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run([python, "-c", same], user=1000, cwd="/", check=True)
            return python
    pytest.skip("every Python of this version is below a private folder")


def command(
    data_dir: Path, kind: str = "services", python: str = sys.executable, **options: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-c", COMMAND, str(data_dir), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PYTHONPATH": f"{SOURCE}:{sysconfig.get_path('purelib')}", "PATH": "/usr/bin:/bin"},
        **options,
    )


def urls(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    found = json.loads(process.stdout.readline())
    assert isinstance(found, list)
    return found


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def postmaster(data_dir: Path) -> int:
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    return int(pid_file.read_text().split()[0])


def processes_naming(data_dir: Path) -> list[str]:
    """Commands of the processes that name the directory, but not those that test it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue
        if str(data_dir) in line and Path(line.split(" ")[0]).name in {"postgres", "valkey-server"}:
            found.append(line)
    return found


def gone(data_dir: Path, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while processes_naming(data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select number from kept order by number").fetchall()


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table if not exists kept (number int)")
        connection.execute("insert into kept (number) values (1)")


def test_data_outlives_a_restart_and_nothing_runs_after_it(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    with services(settings) as found:
        write_row(found.database_url)
        with redis.Redis.from_url(found.redis_url) as client:
            client.set("hint", "P")
        with psycopg.connect(found.database_url) as connection:
            shown = connection.execute(
                "select current_setting('fsync'), current_setting('synchronous_commit'),"
                " current_setting('listen_addresses'), current_setting('server_encoding')"
            )
            assert shown.fetchone() == ("on", "on", "", "UTF8")
        assert len(processes_naming(data_dir)) == 2
    assert processes_naming(data_dir) == []
    with services(settings) as found:
        assert rows(found.database_url) == [(1,)]
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.get("hint") == b"P"


def test_a_second_command_attaches_and_the_first_waits_for_it(data_dir: Path) -> None:
    first = command(data_dir)
    found = urls(first)
    second = command(data_dir)
    assert urls(second) == found
    assert first.stdin is not None
    first.stdin.write("\n")
    first.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        first.wait(1)
    with psycopg.connect(found[0]) as connection:
        connection.execute("select 1")
    finish(second)
    assert first.wait(10) == 0
    finish_streams(first)
    assert gone(data_dir)


def finish_streams(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()


def test_commands_that_start_at_once_share_one_postgres(data_dir: Path) -> None:
    started = [command(data_dir) for _ in range(4)]
    assert len({tuple(urls(process)) for process in started}) == 1
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        assert process.wait(30) == 0
        finish_streams(process)
    assert gone(data_dir)


def test_a_second_up_is_refused_with_the_pid_of_the_first(data_dir: Path) -> None:
    first = command(data_dir, "up")
    urls(first)
    with (
        pytest.raises(ServiceError, match=rf"in use by `daybook up` \(pid {first.pid}\)"),
        kept_services(Settings(data_dir=data_dir)),
    ):
        pass
    first.send_signal(signal.SIGINT)
    assert first.wait(20) == 0
    finish_streams(first)
    assert processes_naming(data_dir) == []


@pytest.mark.parametrize("kind", ["up", "services"])
def test_a_killed_command_leaves_nothing_and_the_next_one_starts(data_dir: Path, kind: str) -> None:
    killed = command(data_dir, kind)
    write_row(urls(killed)[0])
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finish_streams(killed)
    with services(Settings(data_dir=data_dir)) as found:
        assert rows(found.database_url) == [(1,)]
    assert gone(data_dir)


def test_a_kill_during_the_first_start_leaves_nothing_half_made(data_dir: Path) -> None:
    killed = command(data_dir)
    half = data_dir / "postgres" / "data.new"
    while not half.exists():
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finish_streams(killed)
    with services(Settings(data_dir=data_dir)) as found:
        write_row(found.database_url)


def test_killed_servers_are_started_again_with_their_data(data_dir: Path) -> None:
    with services(Settings(data_dir=data_dir)) as found:
        write_row(found.database_url)
        with redis.Redis.from_url(found.redis_url) as client:
            server = int(client.info("server")["process_id"])
        for pid in (postmaster(data_dir), server):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while True:
            try:
                assert rows(found.database_url) == [(1,)]
                with redis.Redis.from_url(found.redis_url, retry=None) as client:
                    assert client.ping()
                break
            except (psycopg.OperationalError, redis.RedisError):
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_everything_killed_at_once_is_taken_over(data_dir: Path) -> None:
    """The supervisor and its guard both killed: the next start ends what runs on."""
    killed = command(data_dir)
    write_row(urls(killed)[0])
    guards = _children(killed.pid, b"watch")
    for pid in (*guards, killed.pid):
        os.kill(pid, signal.SIGKILL)
    killed.wait()
    finish_streams(killed)
    assert len(guards) == 1
    assert processes_naming(data_dir)
    with services(Settings(data_dir=data_dir)) as found:
        assert rows(found.database_url) == [(1,)]
    assert gone(data_dir)


def _children(parent: int, word: bytes) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pid for pid in map(int, listed) if word in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_stale_pid_file_does_no_harm(data_dir: Path) -> None:
    """The pid in it is now that of an unrelated process, which must not be touched."""
    settings = Settings(data_dir=data_dir)
    with services(settings):
        pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    bystander = subprocess.Popen(["sleep", "60"])
    pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
    shutil.chown(pid_file, *_owner(pid_file.parent))
    with services(settings):
        assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


def test_a_damaged_data_directory_is_refused_in_one_sentence(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    with services(settings):
        pass
    data = data_dir / "postgres" / "data"
    (data / "global" / "pg_control").write_bytes(b"\1" * 8192)
    assert "is damaged (Postgres says" in refusal(settings)
    (data / "global" / "pg_control").unlink()
    assert "could not find the database system" in refusal(settings)
    (data / "PG_VERSION").write_text("12\n")
    assert f"{data} was made by Postgres 12, and this Daybook runs Postgres 18" in refusal(settings)
    (data / "PG_VERSION").unlink()
    assert "PG_VERSION is missing" in refusal(settings)
    assert gone(data_dir)


def refusal(settings: Settings) -> str:
    with pytest.raises(ServiceError) as refused, services(settings):
        pass
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert "move it away" in sentence
    return sentence


def test_a_damaged_valkey_file_is_moved_aside(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    with services(settings) as found, redis.Redis.from_url(found.redis_url) as client:
        client.set("hint", "P")
    for part in (data_dir / "valkey" / "appendonlydir").glob("*.incr.aof"):
        part.write_bytes(b"garbage that is no command" * 10)
    with services(settings) as found, redis.Redis.from_url(found.redis_url) as client:
        assert client.get("hint") is None
    assert list(data_dir.glob("valkey.damaged-*"))


def test_a_deep_data_directory_works(data_dir: Path) -> None:
    deep = data_dir / ("d" * 60) / ("e f,g" * 12)
    with services(Settings(data_dir=deep)) as found:
        substitute = Path(found.redis_url.removeprefix("unix://").partition("?")[0]).parent
        assert substitute.stat().st_mode & 0o777 == 0o700
        write_row(found.database_url)
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.ping()
    assert not substitute.exists()


def test_an_odd_name_of_the_data_directory_works(data_dir: Path) -> None:
    with services(Settings(data_dir=data_dir / "a b,c%d")) as found:
        write_row(found.database_url)
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_root_keeps_data_below_a_private_folder_without_opening_it(data_dir: Path) -> None:
    data_dir.parent.chmod(0o700)
    settings = Settings(data_dir=data_dir)
    try:
        with services(settings) as found:
            write_row(found.database_url)
        with services(settings) as found:
            assert rows(found.database_url) == [(1,)]
        assert data_dir.parent.stat().st_mode & 0o777 == 0o700
        kept = (data_dir / "postgres").readlink()
        assert kept.is_relative_to("/var/lib/daybook")
    finally:
        postgres_place.remove(data_dir)
    assert not kept.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_normal_user_runs_it_and_root_after_that_user(data_dir: Path) -> None:
    data_dir.mkdir()
    os.chown(data_dir, 1000, 1000)
    python = python_for_everybody()
    process = command(data_dir, python=python, user=1000, group=1000, extra_groups=[])
    write_row(urls(process)[0])
    finish(process)
    assert _owner(data_dir / "postgres" / "data") == (1000, 1000)
    with services(Settings(data_dir=data_dir)) as found:
        assert rows(found.database_url) == [(1,)]
    assert gone(data_dir)


def test_given_addresses_start_nothing_and_are_checked(
    data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with services(Settings(data_dir=data_dir)) as kept:
        given = Settings(
            data_dir=data_dir.parent / "other",
            database_url=kept.database_url,
            redis_url="redis://127.0.0.1:1/0",
        )
        with services(given) as found:
            assert found.database_url == kept.database_url
        started = [
            name
            for name in ("run", "postgres", "valkey", "log")
            if (given.data_dir / name).exists()
        ]
        assert started == []
    assert "warning: Redis at DAYBOOK_REDIS_URL=redis://127.0.0.1:1/0" in capfd.readouterr().err


def test_a_redis_that_evicts_what_nobody_gave_up_is_refused(data_dir: Path, tmp_path: Path) -> None:
    """A full one may drop what has an end anyway (volatile), not messages and events."""
    valkey = Valkey(tmp_path)
    valkey.start()
    given = Settings(data_dir=data_dir, redis_url=valkey.url)
    try:
        for policy, limit in (("allkeys-lru", "8mb"), ("allkeys-random", "8mb")):
            valkey.client.config_set("maxmemory-policy", policy)
            valkey.client.config_set("maxmemory", limit)
            with pytest.raises(ServiceError, match=f"maxmemory-policy {policy}"):
                check_redis(given)
        for policy, limit in (("allkeys-lru", "0"), ("volatile-lru", "8mb"), ("noeviction", "8mb")):
            valkey.client.config_set("maxmemory-policy", policy)
            valkey.client.config_set("maxmemory", limit)
            check_redis(given)
    finally:
        valkey.client.close()
        valkey.stop()


def test_an_unreachable_database_is_refused_without_its_password(data_dir: Path) -> None:
    settings = Settings(
        data_dir=data_dir, database_url="postgresql://me:hunter2@127.0.0.1:1/daybook"
    )
    with pytest.raises(ServiceError, match="cannot be used") as refused, services(settings):
        pass
    assert "me:***@127.0.0.1:1" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("ignored", "why"), [("", "cannot be used"), ("options", "forgets")], ids=["strict", "lax"]
)
def test_a_pooler_that_forgets_the_session_is_refused(
    server_url: str, data_dir: Path, tmp_path: Path, ignored: str, why: str
) -> None:
    """Role and timeouts go with the session's options: without them nothing is bounded."""
    with pooled(server_url, tmp_path, ignored) as address:
        given = Settings(data_dir=data_dir, database_url=address)
        with pytest.raises(ServiceError, match=why), services(given):
            pass


@contextlib.contextmanager
def pooled(server_url: str, folder: Path, ignored: str) -> Iterator[str]:
    """Run a PgBouncer before a server, a session for each client; give its address."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("needs PgBouncer (Debian: apt-get install pgbouncer)")
    to, port = conninfo_to_dict(server_url), free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"""
        [databases]
        * = host={to.get("host", "127.0.0.1")} port={to.get("port", 5432)} user={to["user"]}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = session
        ignore_startup_parameters = {ignored or "extra_float_digits"}
        """
    )
    for above in (settings, folder, *folder.parents[:2]):  # nobody is to read it
        above.chmod(0o755)
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    with subprocess.Popen([program, "-q", *user, str(settings)]) as running:
        try:
            wait_until(lambda: listens(port), 20)
            yield f"postgresql://{to['user']}@127.0.0.1:{port}/{to['dbname']}"
        finally:
            running.terminate()


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_database_that_never_answers_is_refused_in_time(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        settings = Settings(data_dir=data_dir, database_url=f"postgresql://127.0.0.1:{port}/x")
        began = time.monotonic()
        with pytest.raises(ServiceError), services(settings):
            pass
        assert time.monotonic() - began < 7


def test_a_taken_port_is_refused_with_another_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"Port {port} .*DAYBOOK_PORT="):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_a_foreign_host_is_refused() -> None:
    with pytest.raises(ServiceError, match="no address of this machine"):
        check_port("192.0.2.1", 8000)


def test_a_file_in_place_of_the_data_directory_is_refused(data_dir: Path) -> None:
    data_dir.write_text("")
    with (
        pytest.raises(ServiceError, match="cannot be used"),
        services(Settings(data_dir=data_dir)),
    ):
        pass
