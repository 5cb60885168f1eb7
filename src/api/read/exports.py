"""Exports over HTTP, for auditors: the events of a question as a file, and the proof of them.

Both are streams of pages, so neither the server nor the log holds more than a page of them.
"""

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.response import Stream
from litestar.types import AnyCallable

from api.guards import AUDITOR
from api.read.evidence import LARGEST, TAG, access
from api.read.history import PAGING, PATHS, VALUES, read
from api.read.lists import given_in, read_values
from api.read.values import Value, choice, whole
from api.read.views import HEAD_SIZE, operation, parameter
from api.request import ApiRequest
from api.routes import V1, route
from domain.refusal import NotFound
from event_store.evidence.notes import Head, Signer
from event_store.history.accesses import Access
from event_store.history.exporting import Manifest, Proof, Unproven, head_for, pages
from event_store.history.formats import FORMATS, MEDIA_TYPES, WRITERS, Format
from event_store.history.questions import Question
from event_store.trail import Trail

ASKED = {name: value for name, value in VALUES.items() if name not in {*PAGING, "sortOrder"}}
SIZE = {"size": whole("Under the head of so many events; else under the newest.", 1, LARGEST)}
JSONL = MEDIA_TYPES["jsonl"]
FILE = Schema(type=OpenAPIType.STRING)
FORMAT = {"format": choice("The form of the file.", FORMATS, "jsonl")}


def export_route(
    path: str, values: dict[str, Value], media_types: Collection[str], *, summary: str
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a route whose answer is a file."""
    documented = [*(parameter(*one, ()) for one in values.items()), PATHS]
    shape: type[Operation] = operation(documented, [HEAD_SIZE])

    @dataclass
    class Exported(shape):  # type: ignore[valid-type, misc]  # made here, for the document
        """An operation whose answer is a file in one of several forms."""

        def __post_init__(self) -> None:
            """Add the forms."""
            super().__post_init__()
            content = {one: OpenAPIMediaType(schema=FILE) for one in media_types}
            (self.responses or {})["200"].content = content

    told = "A file with an entry for each event, the oldest first, under the head that is named."
    answer = ResponseSpec(str, generate_examples=False, description=told)
    return route(
        "GET",
        f"{V1}/audit/{path}",
        who=AUDITOR,
        summary=summary,
        tag=TAG,
        refusals=["UNAVAILABLE", "NOT_FOUND"],
        query={*values, "data.*"},
        answers={200: answer},
        operation=Exported,
    )


@export_route("export", {**ASKED, **SIZE, **FORMAT}, MEDIA_TYPES.values(), summary="Export events")
async def export_events(request: ApiRequest, trail: NamedDependency[Trail]) -> Stream:
    """Export events, the oldest first, as JSON Lines, CSV or Parquet.

    `Daybook-Head-Size` names the head that they are exported under; ask for the proof with that
    size. It is recorded when it begins, and when it ends with how many events were given.
    """
    given = given_in(request)
    form: Format = read_values(FORMAT, {"format": given.pop("format", "jsonl")})["format"]
    question, head, _ = await begun(given, trail)
    noted = access(request, "export", "export")
    await trail.note(noted, 0)
    return file(content_of(trail, question, head.size, form, noted), MEDIA_TYPES[form], head)


@export_route("export/proof", {**ASKED, **SIZE}, [JSONL], summary="Prove an export")
async def prove_export(request: ApiRequest, trail: NamedDependency[Trail]) -> Stream:
    """Prove that each event of an export is in the log that the head signs; recorded likewise.

    `tools/verify_export.py` checks a file with it, without Daybook.
    """
    question, head, note = await begun(given_in(request), trail)
    noted = access(request, "export_proof", "export")
    await trail.note(noted, 0)
    signers = [Signer(head.origin, seed) for seed in trail.seeds]
    proof = Proof(trail.lent, Manifest(head.size, note, dict(noted.asked)), signers)
    return file(lines_of(trail, question, proof, noted), JSONL, head)


async def begun(given: dict[str, str], trail: Trail) -> tuple[Question, Head, str]:
    """Return what is exported, and the head that it is exported under."""
    size = read_values(SIZE, {"size": given.pop("size")})["size"] if "size" in given else None
    question, _ = read(given)
    try:
        return question, *await head_for(trail.lent, size)
    except Unproven as error:
        raise NotFound(str(error)) from None


async def content_of(
    trail: Trail, question: Question, size: int, form: Format, noted: Access
) -> AsyncIterator[bytes]:
    """Yield the bytes of an export, and record how much of it was given."""
    writer, rows = WRITERS[form](), 0
    try:
        async for page in pages(trail.lent, question, size):
            rows += len(page)
            yield writer.page(page)
        yield writer.end()
    finally:
        await trail.note(msgspec.structs.replace(noted, action="exported"), rows)


async def lines_of(
    trail: Trail, question: Question, proof: Proof, noted: Access
) -> AsyncIterator[bytes]:
    """Yield the lines of a proof, and record of how many events it was given."""
    try:
        yield proof.begin()
        async for page in pages(trail.lent, question, proof.size):
            yield await proof.page([one.position for one in page])
        yield await proof.end()
    finally:
        await trail.note(msgspec.structs.replace(noted, action="export_proven"), proof.rows)


def file(content: AsyncIterator[bytes], media_type: str, head: Head) -> Stream:
    """Answer with a file that is made while it is sent."""
    return Stream(content, media_type=media_type, headers={"daybook-head-size": str(head.size)})


HANDLERS: list[Any] = [export_events, prove_export]
