"""An export holds what was asked for, and a program without Daybook proves each row of it."""

import csv
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from daybook.notary import attest
from event_store.connections import connect
from event_store.evidence.heads import origin_of
from event_store.evidence.notes import Signer
from event_store.history.exporting import Proof
from event_store.history.formats import FORMATS, Format
from tests.conftest import fresh_database, tampering
from tests.daybook.conftest import Typed, environment, redis_url, typed
from tests.event_store.evidence.given import NOW, SEED, attested, record
from tests.event_store.history.test_search import FILL, START

__all__ = ["environment", "redis_url", "typed"]

VERIFIER = Path(__file__).parents[3] / "tools" / "verify_export.py"
EVENTS = 700
# Of Parquet both are more than a row group has.
COUNTS: dict[Format, tuple[int, int]] = {
    "jsonl": (1_000, 16_000),
    "csv": (1_000, 16_000),
    "parquet": (11_000, 31_000),
}
MANY = 31_000
MAY_GROW_MIB = 10  # held until the end, the rest would be twice that at least
TWICE = """
import pathlib, re, sys
from daybook.__main__ import main
words = sys.argv[2:]
for count in sys.argv[1].split(","):
    sys.argv[1:] = [*words, "--to", count]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended
    status = pathlib.Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1], file=sys.stderr)
"""
AWKWARD = 'a "quoted", {}\ttab\nline \\N \\ ünï \U0001f4d6 ,"data": {{"x": 1.50}}'


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database with awkward events."""
    with fresh_database(server_url, template_database) as url:
        record(url, EVENTS, AWKWARD)
        yield url


@pytest.fixture(scope="module")
def long_log(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database with more events than are held at a time, signed."""
    with fresh_database(server_url, template_database) as url:
        with tampering(url) as connection:
            connection.execute(FILL.encode(), {"start": START, "events": MANY})
            connection.execute("update log_head set position = %s", [MANY])
        with connect(url, name="test") as connection:
            attested(connection)
        yield url


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_of_many_times_as_many_events_takes_no_more_memory(
    long_log: str, tmp_path: Path, form: Format
) -> None:
    """It is a process as people start it, asked what it has held at most (VmHWM).

    `ru_maxrss` would not do: it begins with what the process that has started it held.
    """
    counts = COUNTS[form]
    words = ["audit", "export", str(tmp_path / f"events.{form}"), "--format", form, "--json"]
    ended = subprocess.run(
        [sys.executable, "-c", TWICE, ",".join(map(str, counts)), *words],
        env={
            **os.environ,
            "DAYBOOK_DATABASE_URL": long_log,
            "DAYBOOK_REDIS_URL": "redis://127.0.0.1:1/0",
            "DAYBOOK_DATA_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line)["events"] for line in ended.stdout.splitlines()]
    assert found == list(counts)
    few, many = (int(line) // 1024 for line in ended.stderr.splitlines() if line.isdigit())
    assert many - few < MAY_GROW_MIB, (few, many)


@pytest.fixture
def key(database_url: str, tmp_path: Path) -> str:
    """Sign the log as this machine's workers do, and return the public key."""
    secrets = tmp_path / "var" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "audit-key").write_text("YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyAuLi4=")
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path / "var" / "audit", NOW)
        return str(Signer(origin_of(connection), SEED).public)


def verified(file: Path, key: str, proof: Path | None = None) -> tuple[int, str]:
    """Run the verifier, which knows nothing of Daybook, and return its code and what it says."""
    ended = subprocess.run(
        [sys.executable, "-I", VERIFIER, file, proof or f"{file}.proof", "--key", key],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    ("asked", "rows"),
    [((), EVENTS), (("--from", "100", "--to", "355"), 256), (("--from", "512", "--to", "512"), 1)],
)
def test_an_export_is_proven_offline(  # noqa: PLR0913, PLR0917 - two tables of cases
    typed: Typed, tmp_path: Path, key: str, form: str, asked: tuple[str, ...], rows: int
) -> None:
    file = tmp_path / f"export.{form}"
    told = typed("audit", "export", str(file), *asked, "--json")
    assert told.returncode == 0, told
    assert json.loads(told.stdout)["events"] == rows
    code, said = verified(file, key)
    assert (code, said.split()[0]) == (0, str(rows)), said
    if form == "parquet":
        table = parquet.read_table(file)
        for other in (table.slice(1), table.slice(0, rows - 1), table.take([*range(rows)][::-1])):
            if other != table:
                parquet.write_table(other, file)
                assert verified(file, key)[0] == 1
        return
    lines = file.read_bytes().splitlines(keepends=True)
    for number in {len(lines) // 2, len(lines) - 1}:
        file.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert verified(file, key)[0] == 1


def test_a_choice_of_events_is_proven_one_by_one(
    typed: Typed, tmp_path: Path, key: str, database_url: str
) -> None:
    file = tmp_path / "export.jsonl"
    assert typed("audit", "export", str(file), "--name", "order.note_added").returncode == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["position"] for row in rows] == list(range(1, EVENTS + 1))
    stream = rows[41]["stream_id"]
    assert typed("audit", "export", str(file), "--stream", stream).returncode == 0
    assert verified(file, key)[0] == 0
    assert json.loads(file.read_text())["data"]["text"] == AWKWARD.format(41)
    assert typed("audit", "export", str(file), "--type", "nothing").returncode == 0
    assert verified(file, key)[0] == 0
    assert file.read_text() == ""
    assert database_url


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "hashes_alone"])
def test_whatever_is_changed_is_found(
    typed: Typed, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch, *, digest: bool
) -> None:
    """By the file's digest, and without one, as over HTTP, by the hashes that lead to the root."""
    end = Proof.end
    if not digest:
        monkeypatch.setattr(Proof, "end", lambda proof, _: end(proof))
    file, forged = tmp_path / "export.jsonl", tmp_path / "forged.jsonl"
    assert typed("audit", "export", str(file), "--from", "3", "--to", "90").returncode == 0
    whole, proof = file.read_text(), file.with_name("export.jsonl.proof")
    assert ('"sha256":null' in proof.read_text()) is not digest
    assert verified(file, key)[0] == 0
    chance = random.Random(7)  # noqa: S311 - to be repeated
    for old, new in (
        ("alice", "bob00"),
        ('"position":7,', '"position":6,'),
        ('a \\"quoted', 'a \\"quotes'),
        ("staff", "admin"),
    ):
        assert old in whole
        forged.write_text(whole.replace(old, new, 1))
        assert verified(forged, key, proof)[0] == 1, old
    lines = whole.splitlines(keepends=True)
    for added in (lines[-1], lines[-1].replace('"position":90,', '"position":91,')):
        forged.write_text("".join([*lines, added]))
        assert verified(forged, key, proof)[0] == 1, added
    chance.shuffle(lines)
    forged.write_text("".join(lines))
    assert verified(forged, key, proof)[0] == 1
    other = str(Signer(key.partition("+")[0], b"e" * 32).public)
    assert verified(file, other, proof)[0] == 1
    text = proof.read_text()
    proof.write_text(text.replace('"rows":88', '"rows":87'))
    assert verified(file, key, proof)[0] == 1


def test_parquet_holds_the_same(typed: Typed, tmp_path: Path, key: str) -> None:
    file, other = tmp_path / "export.parquet", tmp_path / "export.csv"
    for one in (file, other):
        assert typed("audit", "export", str(one)).returncode == 0
    table = parquet.read_table(file)
    rows = list(csv.DictReader(io.StringIO(other.read_bytes().decode())))
    assert table.num_rows == len(rows) == EVENTS
    for ours, theirs in zip(table.to_pylist(), rows, strict=True):
        assert str(ours["position"]) == theirs["position"]
        assert ours["data"] == theirs["data"]
        assert str(ours["recorded_at"].isoformat())[:19] == theirs["recorded_at"][:19]
    assert key


def test_what_cannot_be_exported_is_said(typed: Typed, tmp_path: Path) -> None:
    assert typed("audit", "export", str(tmp_path / "export.doc")).returncode == 2
