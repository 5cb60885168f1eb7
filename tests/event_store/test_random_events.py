"""Whatever an event holds, it comes back from its stored form as it was."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from event_store.event_types import STORED_AS, Event, decode, encode

LEAVES: Mapping[Any, some.SearchStrategy[Any]] = {
    bool: some.booleans(),
    int: some.integers(-(2**63), 2**63 - 1),
    str: some.text(),
    UUID: some.uuids(),
    datetime: some.datetimes(timezones=some.just(UTC)),
    Decimal: some.decimals(allow_nan=False, allow_infinity=False),
    NoneType: some.none(),
}


def values(hint: Any) -> some.SearchStrategy[Any]:
    """Return any values of a type that an event may hold; `LookupError` for a type that is new."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = {name: values(one) for name, one in get_type_hints(hint).items()}
        return some.builds(hint, **fields)
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return some.sampled_from(parts)
    if get_origin(hint) in {Union, UnionType}:
        return some.one_of([values(one) for one in parts])
    if get_origin(hint) is tuple and parts[1:] == (...,):
        return some.lists(values(parts[0]), max_size=3).map(tuple)
    return LEAVES[hint]


@pytest.mark.parametrize("kind", STORED_AS.values(), ids=lambda kind: kind.__name__)
def test_any_event_comes_back_as_it_was(kind: type[Event]) -> None:
    @settings(max_examples=50)
    @given(values(kind))
    def comes_back(event: Event) -> None:
        name, schema_version, data = encode(event)
        found = decode(name, schema_version, data)
        assert found == event
        assert encode(found) == (name, schema_version, data)  # 1.0 equals 1.00, but is not it

    comes_back()
