"""What the documents say of a success: the first paragraph of what its data say of themselves."""

import inspect
from types import NoneType
from typing import Any, get_args, get_origin

from litestar.openapi.datastructures import ResponseSpec

from api.envelope import Answer, Page, Stretch, Success

NOTHING = "It is done; there is no body."
BEFORE = {201: "It is made. ", 202: "It will be done. "}


def success(shape: Any) -> ResponseSpec:
    """Return the documented answer of an envelope around views."""
    return ResponseSpec(shape, generate_examples=False, description=said_of(shape))


def described(handle: Any, status: int) -> str | None:
    """Return what the success of a handler holds, by the type of its answer; None: no view."""
    answer = handle.__annotations__["return"]
    kinds = (answer,) if get_origin(answer) is Answer else get_args(answer)
    for kind in kinds:
        if get_origin(kind) is Answer:
            (shape,) = get_args(kind)
            return NOTHING if shape is NoneType else BEFORE.get(status, "") + said_of(shape)
    return None


def said_of(shape: Any) -> str:
    """Return what an envelope holds: `Success[View]`, or `Page[View]` and others of many."""
    (data,) = get_args(shape)
    entries = get_args(data) if get_origin(data) is list else ()
    if entries or get_origin(shape) in {Page, Stretch}:
        entry = entries[0] if entries else data
        return f"A part of the list. Each entry: {paragraph(entry)}"
    assert get_origin(shape) is Success, shape  # noqa: S101 - there are no others
    return paragraph(data)


def paragraph(view: Any) -> str:
    """Return the first paragraph of a type's description."""
    return (inspect.getdoc(view) or "").split("\n\n")[0].replace("\n", " ")
