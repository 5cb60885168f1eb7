"""The notary: grows, signs and publishes, and says no when what was published is contradicted."""

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daybook.command_line import audit_questions
from daybook.command_line.operator_commands import user_name
from daybook.notary import attest, check_published, folder_of, keep_evidence, known_keys
from daybook.witness import Witness
from event_store.connections import connect
from event_store.evidence.heads import LogRewritten, head_in, newest_note, origin_of
from event_store.evidence.notes import head_of
from tests.conftest import tampering
from tests.daybook.conftest import Typed
from tests.event_store.evidence.given import SEED, edit_after, record, signer_of, undone
from tests.event_store.given import rows

NOW = timedelta(0)
HOUR = timedelta(hours=1)


def test_the_newest_head_is_published_and_can_be_checked(database_url: str, tmp_path: Path) -> None:
    record(database_url, 5)
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path, NOW)
        signer = signer_of(connection)
        folder = folder_of(tmp_path, signer.public.name)
        head = head_of((folder / "head.note").read_text(), [signer.public])
        assert head.size == 5
        assert known_keys(folder) == [signer.public]
        assert [one.name for one in (folder / "heads").iterdir()] == [
            f"{head.signed_at:%Y-%m-%d}.note"
        ]


def test_heads_are_not_signed_more_often_than_wanted(database_url: str, tmp_path: Path) -> None:
    with connect(database_url, name="test") as connection:
        record(database_url, 5)
        attest(connection, (SEED,), tmp_path, NOW)
        record(database_url, 5)
        attest(connection, (SEED,), tmp_path, HOUR)
        assert head_in(newest_note(connection) or "").size == 5
        attest(connection, (SEED,), tmp_path, NOW)
        assert head_in(newest_note(connection) or "").size == 10
        attest(connection, (SEED,), tmp_path, NOW)
        assert connection.execute("select count(*) from log_heads").fetchone() == (2,)


def test_a_new_key_signs_beside_the_old_one(database_url: str, tmp_path: Path) -> None:
    with connect(database_url, name="test") as connection:
        for seeds in ((SEED,), (b"n" * 32, SEED), (b"n" * 32,)):
            record(database_url, 1)
            attest(connection, seeds, tmp_path, NOW)
        assert len(known_keys(folder_of(tmp_path, origin_of(connection)))) == 2


@pytest.mark.parametrize("by", ["rewriting", "cutting"])
def test_what_contradicts_a_published_head_is_not_signed(
    database_url: str, tmp_path: Path, by: str
) -> None:
    record(database_url, 5)
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path, NOW)
        folder = folder_of(tmp_path, origin_of(connection))
    published = (folder / "head.note").read_text()
    with undone(database_url) as connection:
        edit_after(connection, 3, delete=by == "cutting")
        with pytest.raises(LogRewritten):
            attest(connection, (SEED,), tmp_path, NOW)
        with pytest.raises(LogRewritten):
            check_published(connection, folder)
        assert (folder / "head.note").read_text() == published
        (folder / "head.note").unlink()  # the last day's is left
        with pytest.raises(LogRewritten):
            attest(connection, (SEED,), tmp_path, NOW)


def test_a_worker_says_that_the_log_was_tampered_with_and_looks_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(database_url, 5)
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path, NOW)
    with tampering(database_url) as connection:
        edit_after(connection, 3)
    looks: list[float] = []

    def twice(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) > 1:
            raise Ended

    monkeypatch.setattr("daybook.notary.time.sleep", twice)
    with capture_logs() as logs, pytest.raises(Ended):
        keep_evidence(database_url, (SEED,), tmp_path, Witness(None))
    [said] = logs  # not with each look
    assert (said["event"], said["advice"]) == ("log_tampered", "daybook audit verify")
    assert "3 events" not in said["reason"]
    assert "5 events are not those that were signed" in said["reason"]


class Ended(BaseException):
    """The process ends here."""


def test_the_command_line_verifies_and_finds(
    database_url: str, tmp_path: Path, typed: Typed
) -> None:
    folder = tmp_path / "var" / "audit"
    assert typed("audit", "verify").returncode == 2
    record(database_url, 300)
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), folder, NOW)
        told = typed("audit", "verify")
        assert (told.returncode, told.stdout[:10]) == (0, "300 events"), told
        record(database_url, 10)
        attest(connection, (SEED,), folder, NOW)
        told = typed("audit", "verify", "--since-verified")
        assert (told.returncode, told.stdout[:9]) == (0, "10 events"), told
        told = typed("audit", "verify", "--since-verified")
        assert (told.returncode, "after position 310;" in told.stdout) == (0, True), told
        told = typed("audit", "verify", "--from", "20", "--to", "30", "--json")
        assert told.returncode == 0, told
        assert '"finding":null' in told.stdout
        told = typed("audit", "verify", "--from", "5000", "--to", "6000")
        assert (told.returncode, "ends at position 310" in told.stderr) == (2, True), told
        kept = tmp_path / "kept.note"
        published = folder_of(folder, origin_of(connection)) / "head.note"
        kept.write_text(published.read_text())
    other = tmp_path / "other.note"
    for text in ("garbage", kept.read_text().replace("\n310\n", "\n311\n")):
        other.write_text(text)
        told = typed("audit", "verify", "--against", str(other))
        assert (told.returncode, "other.note" in told.stderr) == (2, True), told
    with tampering(database_url) as connection:
        edit_after(connection, 305)
    for more in ([], ["--since-verified"], ["--against", str(kept)]):
        told = typed("audit", "verify", *more)
        assert told.returncode == 1, (more, told)
        assert "rewritten" in told.stdout
    assert typed("audit", "verify", "--from", "3", "--to", "2").returncode == 2
    assert typed("audit", "verify", "--key", "nonsense").returncode == 2


INSERT = """
insert into events
select (jsonb_populate_record(e, jsonb_build_object(
           'position', 21, 'stream_id', gen_random_uuid()))).*
  from events e where position = 7
"""
SWAP = """
update events set position = -position where position in (7, 9);
update events set position = case position when -7 then 9 else 7 end where position < 0
"""
CUT = "delete from events where position > 15; update log_head set position = 15"
BY_A_SUPERUSER = {
    "update": ("update events set actor_id = 'eve' where position = 7", "altered", 7),
    "delete": ("delete from events where position = 7", "missing", 7),
    "insert": (INSERT, "inserted", 21),
    "swap": (SWAP, "swapped", 7),
    "cut": (CUT, "missing", 16),
}


@pytest.mark.parametrize("act", BY_A_SUPERUSER)
def test_the_command_line_names_the_first_event_that_is_wrong(
    database_url: str, tmp_path: Path, typed: Typed, act: str
) -> None:
    record(database_url, 20)
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path / "var" / "audit", NOW)
    change, kind, position = BY_A_SUPERUSER[act]
    with tampering(database_url) as connection:
        for statement in change.split(";"):
            connection.execute(statement.encode())
    told = typed("audit", "verify", "--json")
    assert told.returncode == 1, told
    found = json.loads(told.stdout)["finding"]
    assert (found["kind"], found["position"]) == (kind, position)


def test_the_command_line_answers_auditors(
    database_url: str, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(database_url, 3)
    told = typed("audit", "events", "--type", "order", "--data", "text=Careful, 1", "--json")
    assert told.returncode == 0, told
    (found,) = json.loads(told.stdout)["events"]
    assert found["data"]["text"] == "Careful, 1"
    for words, said in (
        (["events", "--actor", "alice"], "alice"),
        (["show", str(found["position"])], "Careful, 1"),
        (["history", found["streamId"]], "Careful, 1"),
        (["trace", found["correlationId"]], "3 events"),
        (["trace", str(found["position"])], "3 events"),
        (["trace", found["requestId"]], "3 events"),
    ):
        told = typed("audit", *words)
        assert (told.returncode, said in told.stdout) == (0, True), told
        assert json.loads(typed("audit", *words, "--json").stdout)
    assert typed("audit", "show", "99").returncode == 2
    told = typed("audit", "trace", "99")
    assert (told.returncode, "Nothing belongs to 99" in told.stderr) == (2, True), told
    assert typed("audit", "events", "--data", "text").returncode == 2
    actions = rows(database_url, "select action, actor_role, rows from audit_accesses")
    assert ("events", "system", 3) in actions
    assert {action for action, _, _ in actions} == {"events", "event", "stream", "trace"}
    asked = rows(database_url, "select asked from audit_accesses where number = 1")[0][0]
    assert asked == {
        "host": socket.gethostname(),
        "stream_type": "order",
        "data.text": "(withheld)",
    }
    told = typed("audit", "accesses", "--action", "event", "--limit", "1", "--json")
    [one] = json.loads(told.stdout)["accesses"]
    assert (one["kind"], one["rows"], one["asked"]["position"]) == ("question", 0, "99")
    assert f"operator:{user_name()}" in typed("audit", "accesses").stdout
    assert typed("audit", "accesses", "--kind", "nothing").returncode == 2
    one = ("--limit", "1")
    for words, said in (
        (("events", *one), "--to 2"),
        (("events", "--oldest-first", *one), "--from 2"),
        (("accesses", *one), "--before"),
    ):
        told = typed("audit", *words)
        assert f"There are more: {said}" in told.stdout, told
        assert json.loads(typed("audit", *words, "--json").stdout)["more"]
    monkeypatch.setattr(audit_questions, "MOST_TRACED", 2)
    assert "the first 2 of more events" in typed("audit", "trace", found["requestId"]).stdout


def test_verifications_are_recorded_and_records_that_vanish_are_found(
    database_url: str, tmp_path: Path, typed: Typed
) -> None:
    record(database_url, 3)
    with connect(database_url, name="test") as connection:
        for _ in range(2):
            typed("audit", "events")
            attest(connection, (SEED,), tmp_path / "var" / "audit", NOW)
    told = typed("audit", "verify", "--json")
    assert (told.returncode, json.loads(told.stdout)["accesses"]) == (0, 2), told
    query = "select kind, action, rows, asked->>'found' from audit_accesses order by number desc"
    assert rows(database_url, query)[0] == ("verification", "verify", 3, None)
    with undone(database_url) as connection:
        connection.execute("delete from audit_accesses where number = 2")
        connection.commit()
        told = typed("audit", "verify")
        assert (told.returncode, "access 2 is missing" in told.stdout) == (1, True), told
        assert rows(database_url, query)[0] == ("verification", "verify", 3, "access")
        # Also with the chain cut off behind it and no head in the database that says otherwise.
        connection.execute("delete from audit_accesses where number > 1")
        connection.execute(
            "update access_chain set (number, hash) = (select number, hash from audit_accesses)"
        )
        connection.execute("delete from access_heads")
        connection.commit()
    told = typed("audit", "verify")
    assert (told.returncode, "access 2 is missing" in told.stdout) == (1, True), told
    with connect(database_url, name="test") as connection, pytest.raises(LogRewritten):
        attest(connection, (SEED,), tmp_path / "var" / "audit", NOW)
