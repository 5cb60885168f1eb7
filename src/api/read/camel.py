"""Structs of the projections as JSON has them: the same fields under camelCase names."""

from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec


@cache
def twin(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return a struct's like with camelCase names, in all that it holds; properties are fields."""
    hints = get_type_hints(kind)
    fields: list[Any] = [(name, twinned(hints[name])) for name in kind.__struct_fields__]
    for name, one in vars(kind).items():
        if isinstance(one, property):
            fields.append((name, twinned(get_type_hints(one.fget)["return"])))
    return msgspec.defstruct(
        kind.__name__,
        fields,
        module=kind.__module__,
        frozen=True,
        rename="camel",
        namespace={"__doc__": kind.__doc__},
    )


def twinned(hint: Any) -> Any:
    """Return a type with the twins of the structs in it."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return twin(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if not parts or origin is Literal:
        return hint
    inner = [one if one is ... else twinned(one) for one in parts]
    if origin in {Union, UnionType}:
        return reduce(or_, inner)
    return origin[tuple(inner)]


def camelled(struct: msgspec.Struct) -> msgspec.Struct:
    """Return a struct as its twin."""
    return msgspec.convert(struct, twin(type(struct)), from_attributes=True)
