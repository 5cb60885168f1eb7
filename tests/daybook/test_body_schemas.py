"""The documents say every rule that a body is checked by, as msgspec itself would write it."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar

from api.openapi import completed
from api.versions import referred
from tests.daybook.test_routes import handlers

Schema = dict[str, Any]
Rules = dict[tuple[str, str], object]
RULES = {
    "type",
    "format",
    "enum",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "required",
    "additionalProperties",
}
FURTHER = {"pattern", "format"}  # the domain refuses in words what the documents say by these


def test_the_document_says_every_rule_of_every_body(shipped: Litestar) -> None:
    document = completed(shipped)
    count = 0
    for (method, path), handler in handlers(shipped).items():
        if (body := handler.parsed_fn_signature.parameters.get("data")) is None:
            continue
        sent = document["paths"][path][method.lower()]["requestBody"]["content"]
        said = dict(rules(sent["application/json"]["schema"], document["components"]["schemas"]))
        (checked,), parts = msgspec.json.schema_components([body.annotation])
        for place, rule in rules(checked, parts):
            assert place in said, (method, path, *place)
            assert said[place] == rule or place[1] in FURTHER, (method, path, *place)
            count += 1
    assert count > 100


def rules(schema: Schema, parts: Schema, place: str = "$") -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield each rule of a schema, with its place and name."""
    for name in referred({"$ref": schema.get("$ref")}):
        schema = {**parts[name], **schema}
    for name in RULES & schema.keys():
        found = schema[name]
        yield (place, name), sorted(found) if isinstance(found, list) else found
    for choices in ("anyOf", "oneOf"):
        for one in schema.get(choices, ()):
            yield from rules(one, parts, f"{place}?" if one.get("type") != "null" else f"{place}0")
    for name, one in schema.get("properties", {}).items():
        yield from rules(one, parts, f"{place}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from rules(schema["items"], parts, f"{place}[]")
