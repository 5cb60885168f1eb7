"""States of other programs' events: JSON stays JSON, everything else stays what it is."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from event_store.recorders.foreign_events import to_json, to_state

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def through_jsonb(database_url: str) -> Iterator[Any]:
    """Return what keeps a state in a jsonb value and reads it back."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def there_and_back(state: bytes) -> bytes:
            kept = connection.execute("select %s::jsonb::text", [to_json(state)]).fetchall()
            return to_state(kept[0][0])

        yield there_and_back


@pytest.fixture(scope="module")
def database_url(server_url: str) -> str:
    """Any database will do: nothing is stored."""
    return server_url


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(state=some.binary())
def test_bytes_come_back_as_they_were_unless_they_are_json(
    through_jsonb: Any, state: bytes
) -> None:
    back = through_jsonb(state)
    assert back == state or json.loads(back) == json.loads(state)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(value=JSON, ascii_only=some.booleans())
def test_json_comes_back_with_the_same_values_of_the_same_types(
    through_jsonb: Any, value: Any, *, ascii_only: bool
) -> None:
    try:
        state = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return  # a lone surrogate has no UTF-8
    back = json.loads(through_jsonb(state))
    assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    "state",
    [
        b"state1",
        b"",
        b"\xff\xfe{\x00}\x00",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e+16}',
        b'{"a": 1e-200000}',
        b'{"a": -0.0}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"base64": "c3RhdGUx"}',
        b"[" * 100_000,
        b"9" * 5_000,
    ],
)
def test_what_jsonb_would_refuse_or_change_comes_back_byte_for_byte(
    through_jsonb: Any, state: bytes
) -> None:
    assert through_jsonb(state) == state


def test_json_is_stored_as_json() -> None:
    for state in (b'{"a": [1, 2.50, "x"]}', b"{}", b'{"base64": "YQ==", "b": 1}', b"true"):
        assert to_json(state) == state.decode()
