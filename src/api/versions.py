"""One OpenAPI document for each version of the API, out of the one of all routes."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from api.links import linked
from api.routes import V2

Schema = dict[str, Any]
SUFFIX = "V2"
SECOND = """
The second version of the views: a user comes with an order summary, an order with its history, and
lists are read by cursors: send `pagination.next` back as `cursor`, with the same filters and order,
until it is null. Rows that are added meanwhile are neither shown twice nor do they hide others.

Commands are those of version 1, and so are errors, roles, the envelope and `Daybook-Min-Position`.
"""


def first_version(document: Schema) -> Schema:
    """Return the document without version 2."""
    return with_paths(document, lambda path: not path.startswith(V2))


def second_version(document: Schema) -> Schema:
    """Return the document of version 2 alone; its operations have the names of version 1."""
    found = with_paths(document, lambda path: path.startswith(V2))
    found["info"]["title"] += ", version 2"
    found["info"]["description"] = SECOND.strip()
    for operations in found["paths"].values():
        for operation in operations.values():
            operation["operationId"] = operation["operationId"].removesuffix(SUFFIX)
            for answer in operation["responses"].values():
                if "links" in answer:
                    answer["links"] = renamed(answer["links"])
    return found


def renamed(links: Schema) -> Schema:
    """Return links to operations that have the names of version 1."""
    return {
        name.removesuffix(SUFFIX): {**link, "operationId": link["operationId"].removesuffix(SUFFIX)}
        for name, link in links.items()
    }


def with_paths(document: Schema, wanted: Callable[[str], bool]) -> Schema:
    """Return the document with some paths, and the schemas that these need."""
    found = deepcopy(document)
    found["paths"] = {path: item for path, item in found["paths"].items() if wanted(path)}
    found = linked(found)
    schemas = found["components"]["schemas"]
    needed: set[str] = set()
    waiting = list(referred(found["paths"]))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += referred(schemas[name])
    found["components"]["schemas"] = {name: schemas[name] for name in sorted(needed)}
    return found


def referred(part: Any) -> Iterator[str]:
    """Yield the names of the schemas that a part of a document refers to."""
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for inner in part.values():
            yield from referred(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from referred(inner)
