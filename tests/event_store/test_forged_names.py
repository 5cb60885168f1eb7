"""Names of programs in the log get none of them run: an event is looked up in a list."""

import sys
from pathlib import Path
from uuid import uuid4

import pytest

from event_store.connections import connect
from event_store.event_types import UnknownEvent
from event_store.reading import page, stream
from tests.conftest import tampering
from tests.event_store.conftest import database_url
from tests.event_store.given import keyring

__all__ = ["database_url"]

INSERT = """
insert into events
values (1, %s, 'order', 1, %s, 1, %s, 'a', 'a', 'a', 'a', null, %s, 'a', now(), now())
"""


@pytest.mark.parametrize("name", ["os:system", "forged_topic:Event", "forged_topic.Event"])
def test_a_name_that_leads_to_a_program_is_never_imported(
    database_url: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck = tmp_path / "struck"
    (tmp_path / "forged_topic.py").write_text(f"open({str(struck)!r}, 'w').close()\nEvent = dict")
    monkeypatch.syspath_prepend(tmp_path)
    order = uuid4()
    with tampering(database_url) as connection:
        connection.execute(INSERT, [order, name, '{"__reduce__": "os.system"}', uuid4()])
        connection.execute("update log_head set position = 1")
    with connect(database_url, name="test") as connection:
        with pytest.raises(UnknownEvent, match=name):
            stream(connection, order, keyring())
        with pytest.raises(UnknownEvent, match=name):
            page(connection, 0, 9, [name], keyring())
    assert "forged_topic" not in sys.modules
    assert not struck.exists()
