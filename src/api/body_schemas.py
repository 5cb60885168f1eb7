"""What the documents say of bodies that Litestar leaves out: every rule, and no other fields.

Of a field that may be null or left out it forgets a bound of 0, and writes the others beside the
choice between its types instead of into the type that they are for.
"""

from typing import Any

from litestar.handlers import HTTPRouteHandler
from msgspec import inspect

Schema = dict[str, Any]

REF = "#/components/schemas/"
NUMBERS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
TEXTS = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
LISTS = {"min_length": "minItems", "max_length": "maxItems"}
RULES: tuple[tuple[type[inspect.Type], dict[str, str]], ...] = (
    (inspect.IntType, NUMBERS),
    (inspect.FloatType, NUMBERS),
    (inspect.StrType, TEXTS),
    (inspect.ListType, LISTS),
    (inspect.VarTupleType, LISTS),
)
# What a schema says of a field whatever type its value has.
OF_THE_FIELD = {"oneOf", "title", "description", "default", "examples"}


def body_type(handler: HTTPRouteHandler) -> inspect.Type:
    """Return the type of the body that a handler takes."""
    return inspect.type_info(handler.parsed_fn_signature.parameters["data"].annotation)


def complete(schema: Schema, kind: inspect.Type, schemas: Schema) -> None:
    """Write into the schema of a body, and of all within it, what msgspec checks."""
    schema = resolved(schema, schemas)
    if isinstance(kind, inspect.Metadata):
        complete(schema, kind.type, schemas)
    elif isinstance(kind, inspect.UnionType):
        complete_choice(schema, kind, schemas)
    elif isinstance(kind, inspect.StructType):
        schema["additionalProperties"] = not kind.forbid_unknown_fields
        for field in kind.fields:
            one = schema["properties"][field.encode_name]
            if not isinstance(field.type, inspect.UnionType) and len(one.get("oneOf", ())) == 1:
                only = one.pop("oneOf")[0]
                one |= only  # it may be left out, and then nothing stands for it
            complete(one, field.type, schemas)
    else:
        write_rules(schema, kind)
        if isinstance(kind, inspect.ListType | inspect.VarTupleType):
            complete(schema["items"], kind.item_type, schemas)


def complete_choice(schema: Schema, kind: inspect.UnionType, schemas: Schema) -> None:
    """Write the rules of a value that may be null into the choice that is not."""
    parts = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
    choices = [one for one in schema.get("oneOf", ()) if one.get("type") != "null"]
    if len(parts) == len(choices) == 1:
        rules = {name for name in schema if name not in OF_THE_FIELD}
        choices[0] |= {name: schema.pop(name) for name in rules}
        complete(choices[0], parts[0], schemas)


def write_rules(schema: Schema, kind: inspect.Type) -> None:
    """Write the rules of a value without parts; a pattern that says more than the check stays."""
    for one, names in RULES:
        if isinstance(kind, one):
            for name, written in names.items():
                bound = getattr(kind, name)
                if bound is not None and (names is NUMBERS or written not in schema):
                    schema[written] = bound


def resolved(schema: Schema, schemas: Schema) -> Schema:
    """Return the schema that is referred to."""
    found: Schema = schemas[schema["$ref"].removeprefix(REF)] if "$ref" in schema else schema
    return found
