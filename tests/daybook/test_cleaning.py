"""What has had its time is forgotten by the process beside each worker, as the settings say."""

from datetime import timedelta
from queue import SimpleQueue

import psycopg
import pytest

from daybook import background
from daybook.settings import Settings
from tests.event_store.given import rows

SIGN_IN = """
insert into sign_ins (at, kind, network, address, agent, request_id)
values (now() - %s::interval, 'failed', 'n', '198.51.100.7', 'browser', %s)
"""
KEY = """
insert into idempotency_keys (caller, key, fingerprint, answer, position, expires_at)
values ('somebody', %s, 'f', 'a', 1, now() + %s::interval)
"""
LEFT = """
select (select array_agg(request_id) from sign_ins), (select array_agg(key) from idempotency_keys)
"""


class Ended(BaseException):
    """The process ends here."""


def ends(*_: object) -> None:
    raise Ended


def test_records_and_keys_go_when_they_have_had_their_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url) as owner:
        for age, name in (("181 days", "old"), ("179 days", "young")):
            owner.execute(SIGN_IN, [age, name])
        for left, name in (("-1 s", "expired"), ("1 h", "valid")):
            owner.execute(KEY, [name, left])
    kept: SimpleQueue[timedelta] = SimpleQueue()
    with monkeypatch.context() as patched:
        patched.setattr("daybook.background.clean", lambda _, age: kept.put(age))
        background.start_cleaning(Settings(), database_url)
        background.start_cleaning(Settings(sign_ins_kept=timedelta(seconds=1)), database_url)
        ages = {kept.get(timeout=10) for _ in range(2)}
    assert ages == {timedelta(days=180), timedelta(minutes=15)}  # a lock is never forgotten
    monkeypatch.setattr("daybook.background.time.sleep", ends)
    with pytest.raises(Ended):
        background.clean(database_url, max(ages))
    assert rows(database_url, LEFT) == [(["young"], ["valid"])]
