"""The shapes of all stored events, kept in a file under version control that only ever grows.

`python -m event_store.schemas` adds new versions to it; with `--check` it writes nothing. Both say
what differs, one sentence each, and then exit with 1.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from event_store.event_types import EVENT_TYPES, EventTypes, Key

FILE = Path(__file__).with_name("event_schemas.json")
RECIPE = 'CONTRIBUTING.md, "How to change an event"'

Schema = dict[str, Any]
Kept = dict[Key, Schema]


def schema_of(kind: type[msgspec.Struct]) -> Schema:
    """Return the JSON Schema of an event's data, without what may change freely.

    Left out are the names and docstrings of classes and the order of fields. A struct that
    contains itself has no such form.
    """
    (top,), classes = msgspec.json.schema_components([kind])
    for one in parts(inspect.type_info(kind)):
        if isinstance(one, inspect.StructType):
            full = f"{one.cls.__module__}.{one.cls.__qualname__}"  # if two have the same short name
            mark_times(one, classes.get(one.cls.__name__) or classes[full])
    plain: Schema = bare(top, classes)
    return plain


def mark_times(struct: inspect.StructType, schema: Schema) -> None:
    """Tell times from texts, which msgspec does not."""
    for field in struct.fields:
        if any(isinstance(one, inspect.DateTimeType) for one in parts(field.type, deep=False)):
            schema["properties"][field.encode_name]["format"] = "date-time"


def parts(found: object, *, deep: bool = True) -> Iterator[inspect.Type]:
    """Yield a type and the types inside of it; those inside of structs only if `deep`."""
    if isinstance(found, inspect.Type):
        yield found
    inside: Sequence[object] = ()
    if isinstance(found, inspect.StructType):
        inside = [field.type for field in found.fields] if deep else ()
    elif isinstance(found, inspect.Type):
        inside = msgspec.structs.astuple(found)
    elif isinstance(found, tuple):
        inside = found
    for one in inside:
        yield from parts(one, deep=deep)


def bare(schema: Any, classes: Mapping[str, Schema]) -> Any:
    """Return a schema with classes in the place of references, without titles or descriptions."""
    if isinstance(schema, list):
        return [bare(one, classes) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {word: value for word, value in schema.items() if word != "$ref"}
        return bare(classes[schema["$ref"].rpartition("/")[2]] | rest, classes)
    plain: Schema = {}
    for word, value in schema.items():
        match word:
            case "title" | "description" | "discriminator":
                continue
            case "properties":
                plain[word] = {name: bare(one, classes) for name, one in value.items()}
            case "required":
                plain[word] = sorted(value)
            case "default" | "enum":
                plain[word] = value
            case _:
                plain[word] = bare(value, classes)
    return plain


def differences(types: EventTypes, kept: Kept) -> Iterator[str]:
    """Yield a sentence for everything that the file and the lists do not agree on."""
    newest = dict(sorted(types.stored_as))
    for (name, version), kind in types.stored_as.items():
        if version != newest[name]:
            yield (
                f"{name} has two lines in event_types.py: keep version {newest[name]},"
                f" and read version {version} through its upcaster ({RECIPE})."
            )
        elif (name, version) not in kept:
            yield f"{name} version {version} is not in {FILE.name} yet: make schemas adds it."
        elif kept[name, version] != schema_of(kind):
            yield changed(name, version, kept[name, version], schema_of(kind))
    for name, version in sorted(kept.keys() | all_before(newest)):
        yield from lost(name, version, newest.get(name, 0), types, kept)
    for name, version in sorted(types.upcasters):
        if version >= newest.get(name, 0):
            yield f"The upcaster of {name} version {version} leads to no version of event_types.py."


def changed(name: str, version: int, kept: Schema, found: Schema) -> str:
    """Say which fields of an event are no longer what they were."""
    before, now = kept.get("properties", {}), found.get("properties", {})
    fields = sorted(
        field for field in before.keys() | now.keys() if before.get(field) != now.get(field)
    )
    where = f" ({', '.join(fields)})" if fields else ""
    return (
        f"{name} version {version} has changed{where}, and the log may hold such events: undo it,"
        f" or make it version {version + 1} ({RECIPE})."
    )


def all_before(newest: Mapping[str, int]) -> set[Key]:
    """Return every version that is older than the newest of its name."""
    return {(name, one) for name, version in newest.items() for one in range(1, version)}


def lost(name: str, version: int, newest: int, types: EventTypes, kept: Kept) -> Iterator[str]:
    """Say of a version that was stored once if it can no longer be read, or is not in the file."""
    if version > newest:
        yield (
            f"{name} version {version} is gone from event_types.py, and the log may hold such"
            " events: put its line back."
        )
    elif (name, version) not in kept:
        yield f"{name} version {version} is gone from {FILE.name}: what was stored stays in it."
    elif (name, version) not in types.readable:
        yield (
            f"{name} version {version} has no chain of upcasters to version {newest}: write what is"
            f" missing in upcasters.py ({RECIPE})."
        )


def with_new(types: EventTypes, kept: Kept) -> Kept:
    """Return what is kept and the shapes of versions that are new; nothing kept is changed."""
    return {key: schema_of(kind) for key, kind in types.stored_as.items()} | kept


def read(path: Path) -> Kept:
    """Return the shapes that a file keeps; none if there is no file."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    return {
        (name, int(version)): schema
        for name, versions in kept.items()
        for version, schema in versions.items()
    }


def write(path: Path, kept: Kept) -> None:
    """Write shapes to a file, by name and version."""
    names: dict[str, dict[str, Schema]] = {}
    for name, version in sorted(kept):
        names.setdefault(name, {})[str(version)] = kept[name, version]
    path.write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")


def run(types: EventTypes, path: Path, arguments: Sequence[str]) -> int:
    """Do as the command line says; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("Use: python -m event_store.schemas [--check]\n")
        return 2
    try:
        kept = read(path)
    except (ValueError, AttributeError):
        sys.stderr.write(f"{path} is damaged: take it from version control again.\n")
        return 1
    if not arguments:
        kept = with_new(types, kept)
        write(path, kept)
    found = list(differences(types, kept))
    sys.stderr.write("".join(f"{sentence}\n" for sentence in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run(EVENT_TYPES, FILE, sys.argv[1:]))
