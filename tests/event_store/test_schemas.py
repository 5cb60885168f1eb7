"""A stored event's shape cannot change unnoticed, and no version can be lost."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from domain.order import OrderDelivered
from event_store.event_types import EventTypes
from event_store.schemas import differences, read, run, schema_of
from tests.event_store.evolved import TYPES, UPCASTERS, Moved

ROOT = Path(__file__).parents[2]
SHAPES = {
    **{("user.moved", version): {"type": "object"} for version in (1, 2)},
    ("user.moved", 3): schema_of(Moved),
    ("order.delivered", 1): schema_of(OrderDelivered),
}


class Item(msgspec.Struct, frozen=True):
    title: str
    price: Decimal = Decimal(1)


class Sent(msgspec.Struct, frozen=True):
    """A first text."""

    at: datetime
    items: tuple[Item, ...]
    by: Literal["post", "courier"] | None = None


def class_like(kind: type[msgspec.Struct], **changes: Any) -> type[msgspec.Struct]:
    """Return another class with the same fields but for some; None leaves a field out."""
    fields = {field.name: (field.name, field.type) for field in msgspec.structs.fields(kind)}
    for field in msgspec.structs.fields(kind):
        if not field.required:
            fields[field.name] = (*fields[field.name], field.default)
    fields |= {name: (name, change) for name, change in changes.items()}
    kept = [field for name, field in fields.items() if changes.get(name, field) is not None]
    name = f"Other{kind.__name__}"
    return msgspec.defstruct(name, kept, namespace={"__doc__": "Another text."}, kw_only=True)


def test_names_of_classes_their_docstrings_and_the_order_of_fields_may_change() -> None:
    item = class_like(Item)
    backwards = [
        ("by", Literal["post", "courier"] | None, None),
        ("items", tuple[item, ...]),
        ("at", datetime),
    ]
    other = msgspec.defstruct("Other", backwards, kw_only=True)
    assert schema_of(other) == schema_of(Sent)
    assert "A first text" not in json.dumps(schema_of(Sent))


def test_two_classes_of_one_name_have_each_their_own_shape() -> None:
    other = msgspec.defstruct("Item", [("at", datetime)], module="elsewhere")
    shape = schema_of(msgspec.defstruct("Pair", [("one", Item), ("two", other)]))
    assert shape["properties"]["one"] == schema_of(Item)
    assert shape["properties"]["two"] == schema_of(other)
    assert schema_of(other)["properties"]["at"]["format"] == "date-time"


def test_a_field_that_is_called_title_is_part_of_the_shape() -> None:
    assert schema_of(class_like(Item, title=None)) != schema_of(Item)
    items = schema_of(Sent)["properties"]["items"]["items"]["properties"]
    assert list(items) == ["title", "price"]


@pytest.mark.parametrize(
    "change",
    [
        {"at": None},
        {"at": str},
        {"at": datetime | None},
        {"items": tuple[Sent, ...]},
        {"items": tuple[class_like(Item, price=str), ...]},
        {"items": tuple[class_like(Item, title=datetime), ...]},
        {"by": Literal["post", "courier", "pigeon"] | None},
        {"by": Literal["post", "courier"]},
        {"more": int},
    ],
)
def test_what_is_stored_cannot_change_under_one_version(change: dict[str, Any]) -> None:
    types = EventTypes({("order.sent", 1): class_like(Sent, **change)}, {})
    (said,) = differences(types, {("order.sent", 1): schema_of(Sent)})
    assert f"order.sent version 1 has changed ({next(iter(change))})" in said
    assert "version 2" in said


def test_lists_and_file_that_agree_differ_in_nothing() -> None:
    assert list(differences(TYPES, SHAPES)) == []


def without(*keys: tuple[str, int]) -> dict[tuple[str, int], Any]:
    return {key: shape for key, shape in SHAPES.items() if key not in keys}


@pytest.mark.parametrize(
    ("types", "kept", "said"),
    [
        (TYPES, without(("user.moved", 3)), "user.moved version 3 is not in event_schemas.json"),
        (TYPES, without(("user.moved", 1)), "user.moved version 1 is gone from event_schemas.json"),
        (
            EventTypes({("user.moved", 3): Moved}, UPCASTERS),
            SHAPES,
            "order.delivered version 1 is gone from event_types.py",
        ),
        (
            EventTypes(TYPES.stored_as, {k: u for k, u in UPCASTERS.items() if k[1] == 2}),
            SHAPES,
            "user.moved version 1 has no chain of upcasters to version 3",
        ),
        (
            EventTypes(
                TYPES.stored_as, UPCASTERS | {("user.moved", 3): UPCASTERS["user.moved", 2]}
            ),
            SHAPES,
            "The upcaster of user.moved version 3 leads to no version",
        ),
        (
            EventTypes(TYPES.stored_as, UPCASTERS | {("user.gone", 1): UPCASTERS["user.moved", 2]}),
            SHAPES,
            "The upcaster of user.gone version 1 leads to no version",
        ),
        (
            EventTypes({**TYPES.stored_as, ("user.moved", 2): OrderDelivered}, UPCASTERS),
            SHAPES,
            "user.moved has two lines in event_types.py",
        ),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(
    types: EventTypes, kept: dict[tuple[str, int], Any], said: str
) -> None:
    found = list(differences(types, kept))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_two_steps_that_are_missing_are_two_sentences() -> None:
    found = list(differences(EventTypes(TYPES.stored_as, {}), SHAPES))
    assert [said.partition(" has no")[0] for said in found] == [
        "user.moved version 1",
        "user.moved version 2",
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "event_schemas.json"


def test_the_file_only_grows(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = EventTypes({("order.sent", 1): Sent}, {})
    assert run(first, file, ["--check"]) == 1
    assert not file.exists()
    assert run(first, file, []) == 0
    assert run(first, file, ["--check"]) == 0
    before = file.read_bytes()
    edited = EventTypes({("order.sent", 1): class_like(Sent, at=str)}, {})
    capsys.readouterr()
    assert run(edited, file, []) == 1
    assert capsys.readouterr().err.startswith("order.sent version 1 has changed (at)")
    assert file.read_bytes() == before
    second = EventTypes({("order.sent", 2): Moved}, {("order.sent", 1): lambda data: data})
    assert run(second, file, ["--check"]) == 1
    assert run(second, file, []) == 0
    assert read(file) == {("order.sent", 1): schema_of(Sent), ("order.sent", 2): schema_of(Moved)}


def test_versions_are_written_in_the_order_of_their_numbers(file: Path) -> None:
    upcasters = {("order.sent", version): dict[str, Any] for version in range(1, 11)}
    for version in range(1, 12):
        run(EventTypes({("order.sent", version): Sent}, upcasters), file, [])
    kept = json.loads(file.read_text())
    assert list(kept["order.sent"]) == [str(version) for version in range(1, 12)]


def test_a_damaged_file_and_wrong_use_are_said_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for damage in ("<<<<<<< main", "[1]", '{"order.sent": 1}', '{"order.sent": {"one": {}}}'):
        file.write_text(damage)
        assert run(TYPES, file, []) == 1
        assert "is damaged" in capsys.readouterr().err
        assert file.read_text() == damage
    assert run(TYPES, file, ["--force"]) == 2


def with_another_field(program: str) -> str:
    return re.sub(
        r'(class OrderPlaced.*?"""\n\n)', r"\1    surprise: int\n", program, flags=re.DOTALL
    )


def without_a_line(program: str) -> str:
    return re.sub(r'    \("order.placed", \d+\): .*\n', "", program)


@pytest.mark.parametrize(
    ("edited", "change", "said"),
    [
        (
            "domain/order.py",
            with_another_field,
            r"order\.placed version \d+ has changed \(surprise\)",
        ),
        ("event_store/event_types.py", without_a_line, r"order\.placed version \d+ is gone from"),
    ],
)
def test_the_command_fails_when_an_event_was_edited(
    tmp_path: Path, edited: str, change: Callable[[str], str], said: str
) -> None:
    for room in ("domain", "event_store"):
        for path in (ROOT / "src" / room).rglob("*"):
            if path.suffix in {".py", ".json"}:
                copy = tmp_path / path.relative_to(ROOT / "src")
                copy.parent.mkdir(exist_ok=True, parents=True)
                copy.write_bytes(path.read_bytes())
    program = [sys.executable, "-m", "event_store.schemas", "--check"]
    asked = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path)}, "capture_output": True}
    assert subprocess.run(program, check=False, **asked).returncode == 0
    text = (tmp_path / edited).read_text()
    (tmp_path / edited).write_text(change(text))
    done = subprocess.run(program, check=False, **asked)
    assert done.returncode == 1
    assert re.match(said, done.stderr.decode())
