"""How a route of the read side is declared: its parameters, and what its answers hold."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIHeader, Operation, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import AnyCallable

from api.envelope import Page, Stretch, Success
from api.guards import Who
from api.links import Links
from api.read.values import Value
from api.routes import NO_LINKS, route
from api.successes import success
from projections.pasts.lists import Underway

POSITION = OpenAPIHeader(
    description="The position in the log up to which the view had seen.",
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
    required=True,
)
SEEN = OpenAPIHeader(
    description="The position up to which the view had seen, if it was looked at.",
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
)
ETAG = OpenAPIHeader(
    description="The version, in quotes.", schema=Schema(type=OpenAPIType.STRING), required=True
)
# RFC 9110, 8.8.3: weak and strong tags, or any.
TAG = r'(W/)?"[!#-~]*"'
TAGS = Schema(
    type=OpenAPIType.STRING,
    pattern=rf"^(\*|[ ,]*{TAG} *(, *({TAG} *)?)*)$",
    examples=['"3"'],
)
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    param_in="header",
    description='Versions that the client has, such as "3", or *; then 304 if it is one of them.',
    schema=TAGS,
)
IF_MATCH = Parameter(
    name="If-Match",
    param_in="header",
    description="Versions that the client wants and no other; then 412 if it is none of them.",
    schema=TAGS,
)
MIN_POSITION = Parameter(
    name="Daybook-Min-Position",
    param_in="header",
    description=(
        "A position that the answer must have seen, such as the Daybook-Position of one's own "
        "command; if the view does not come so far in time, the answer is 503 VIEW_BEHIND."
    ),
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=2**63 - 1),
)
PREFER = Parameter(
    name="Prefer",
    param_in="header",
    description=(
        "wait=n (RFC 7240): wait up to n seconds, at most 10, for Daybook-Min-Position; 2 if not "
        "given."
    ),
    schema=Schema(type=OpenAPIType.STRING),
)
CONSISTENCY = (MIN_POSITION, PREFER)
DEPRECATION = OpenAPIHeader(
    description="Since when version 2 answers this better (RFC 9745).",
    schema=Schema(type=OpenAPIType.STRING, pattern="^@[0-9]+$"),
    required=True,
)
LINK = OpenAPIHeader(
    description="Where version 2 has it: successor-version (RFC 8288).",
    schema=Schema(type=OpenAPIType.STRING),
    required=True,
)
SUCCESSOR = [DEPRECATION, LINK]
HEAD_SIZE = OpenAPIHeader(
    description="The size of the signed head that the file is made under.",
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
    required=True,
)
HEADERS = {
    "Daybook-Position": POSITION,
    "ETag": ETAG,
    "Deprecation": DEPRECATION,
    "Link": LINK,
    "Daybook-Head-Size": HEAD_SIZE,
}
RETRY_AFTER = OpenAPIHeader(
    description="Seconds until to ask again.",
    schema=Schema(type=OpenAPIType.INTEGER),
    required=True,
)
TO_BE_MADE = ResponseSpec(
    Success[Underway],
    generate_examples=False,
    description="The list as it was is being made: ask the same again.",
)
NOT_MODIFIED = ResponseSpec(None, description="The client has this version.")


def list_route(  # noqa: PLR0913 - what a client must know of a list, each by its name
    path: str,
    view: type[msgspec.Struct],
    values: Mapping[str, Value],
    *,
    who: Who,
    summary: str,
    tag: str,
    required: Iterable[str] = (),
    refusals: Iterable[str] = (),
    links: Links = NO_LINKS,
    succeeded: bool = False,
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a list of views with its query parameters; in stretches if it takes a cursor."""
    shape: Any = Stretch if "cursor" in values else Page
    answers = {200: success(shape[partly(view)]), **({202: TO_BE_MADE} if "asOf" in values else {})}
    return route(
        "GET",
        path,
        who=who,
        summary=summary,
        tag=tag,
        refusals=["UNAVAILABLE", "VIEW_BEHIND", *refusals],
        query=values,
        answers=answers,
        operation=operation(
            [*(parameter(*one, required) for one in values.items()), *CONSISTENCY],
            [POSITION, *(SUCCESSOR if succeeded else [])],
        ),
        links=links,
        succeeded=succeeded,
    )


def single_route(  # noqa: PLR0913 - what a client must know of a resource, each by its name
    path: str,
    view: type[msgspec.Struct],
    values: Mapping[str, Value],
    *,
    who: Who,
    summary: str,
    tag: str,
    links: Links = NO_LINKS,
    succeeded: bool = False,
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare one resource, which has a version and may be asked for only if that is new."""
    found = success(Success[partly(view)])  # type: ignore[misc]  # made here, for the document alone
    given = (parameter(*one, ()) for one in values.items())
    parameters = [*given, IF_NONE_MATCH, IF_MATCH, *CONSISTENCY]
    return route(
        "GET",
        path,
        who=who,
        summary=summary,
        tag=tag,
        refusals=[
            "UNAVAILABLE",
            "VIEW_BEHIND",
            "NOT_FOUND",
            "PRECONDITION_FAILED",
            *(["FORBIDDEN"] if "asOf" in values else []),
        ],
        query=values,
        answers={200: found, 304: NOT_MODIFIED},
        operation=operation(
            parameters,
            [POSITION, ETAG, *(SUCCESSOR if succeeded else [])],
        ),
        links=links,
        succeeded=succeeded,
    )


def parameter(name: str, value: Value, required: Iterable[str]) -> Parameter:
    """Return what the document says of a query parameter."""
    listed = value.schema.type == OpenAPIType.ARRAY
    return Parameter(
        name=name,
        param_in="query",
        description=f"{value.description} Accepted: {value.accepted}.",
        required=name in required,
        schema=value.schema,
        explode=False if listed else None,
        style="form" if listed else None,
    )


def operation(parameters: list[Parameter], headers: list[OpenAPIHeader]) -> type[Operation]:
    """Return the class of a documented operation that has these parameters and answer headers."""
    named = {name: one for name, one in HEADERS.items() if any(one is given for given in headers)}

    @dataclass
    class Documented(Operation):
        """An operation of the read side."""

        def __post_init__(self) -> None:
            """Add what Litestar cannot find in the handler's signature."""
            self.parameters = [*(self.parameters or []), *parameters]
            for status in ("200", "304"):
                if answer := (self.responses or {}).get(status):
                    answer.headers = dict(named)  # type: ignore[union-attr]  # never a reference
            for status in ("404", "503"):
                if (answer := (self.responses or {}).get(status)) and POSITION in headers:
                    answer.headers = {"Daybook-Position": SEEN}  # type: ignore[union-attr]  # likewise
            if answer := (self.responses or {}).get("202"):
                answer.headers = {**named, "Retry-After": RETRY_AFTER}  # type: ignore[union-attr]

    return Documented


def partly(view: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return a view of which any field may be missing, as `fields` leaves them out."""
    fields = msgspec.structs.fields(view)
    optional: list[Any] = [(one.name, one.type, msgspec.UNSET) for one in fields]
    return msgspec.defstruct(
        view.__name__,
        optional,
        module=view.__module__,
        frozen=True,
        rename={one.name: one.encode_name for one in fields},
        namespace={"__doc__": view.__doc__},
    )
