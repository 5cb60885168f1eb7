"""What can be done next with what an answer holds: the links of the documents (OpenAPI, 4.8.20)."""

from collections.abc import Iterable, Mapping
from typing import Any

Schema = dict[str, Any]
Links = Mapping[str, Schema]

ID = "$response.body#/data/id"
FIRST = "$response.body#/data/0/id"
SEEN = {"header.Daybook-Min-Position": "$response.header.Daybook-Position"}


def links_to(*operations: str, body: object = None, under: str = "", **parameters: str) -> Links:
    """Return links to operations, by their names in the document.

    Parameters, and what the body has, are runtime expressions such as `ID`; `under` is the name of
    a link, where that of its operation will not do.
    """
    link: Schema = {"parameters": parameters}
    if body is not None:
        link["requestBody"] = body
    return {under or name: {"operationId": name, **link} for name in operations}


def links_to_view(*operations: str, **parameters: str) -> Links:
    """Return links from a command to views, which wait until they have seen what it did."""
    return links_to(*operations, **parameters, **SEEN)


def link_to_next(operation: str, query: Iterable[str], **parameters: str) -> Links:
    """Return the link from a stretch of a list to the next one, with the same filters and order."""
    same = {name: f"$request.query.{name}" for name in query if name not in {"cursor", "fields"}}
    cursor = "$response.body#/pagination/next"
    return links_to(operation, under="next", **same, **parameters, cursor=cursor)


def linked(document: Schema) -> Schema:
    """Return a document without the links to operations that it has not: another side has them."""
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = {one["operationId"] for one in operations}
    for one in operations:
        for answer in one["responses"].values():
            found = {
                name: link
                for name, link in answer.pop("links", {}).items()
                if link["operationId"] in names
            }
            if found:
                answer["links"] = found
    return document
