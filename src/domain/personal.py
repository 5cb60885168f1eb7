"""What is personal: the mark of fields that tell of a person, and what stands there afterwards.

A marked field of an event is stored encrypted under the key of the person whom it is about, its
subject. An aggregate that has marked fields says who that is: `subject_of`.
"""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import inspect

MARK = "personal"

# In the schema of stored events too, so that marking a field is a new version of its event.
Personal = Annotated[str, msgspec.Meta(extra_json_schema={MARK: True})]

FORGOTTEN = "forgotten"  # in the place of whatever was known of somebody who is forgotten


@lru_cache(512)
def personal_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of a struct's marked fields, but not of structs inside it."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)  # noqa: S101 - as the argument's type says
    return tuple(field.name for field in found.fields if is_marked(field.type))


def is_personal(happened: msgspec.Struct) -> bool:
    """Tell whether an event or a state has marked fields."""
    return bool(personal_fields(type(happened)))


def is_marked(found: inspect.Type) -> bool:
    """Tell whether a type, or one of a union, has the mark."""
    if isinstance(found, inspect.UnionType):
        return any(map(is_marked, found.types))
    if not isinstance(found, inspect.Metadata):
        return False
    return bool((found.extra_json_schema or {}).get(MARK)) or is_marked(found.type)
