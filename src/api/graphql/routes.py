"""GraphQL over HTTP: questions by POST, and in development a page to try them by GET."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import strawberry
from graphql import GraphQLError
from litestar import Response
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIHeader, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import JSONBody
from strawberry.schema.exceptions import CannotGetOperationTypeError

from api.envelope import Answer
from api.graphql.answers import shown
from api.graphql.asking import Asking
from api.graphql.schema import schema_with
from api.guards import ANYONE
from api.openapi import PAGE_POLICY
from api.read.answers import position_header
from api.read.cursors import Cursors
from api.read.views import CONSISTENCY, operation
from api.request import ApiRequest
from api.routes import route
from projections.reading.views import Views

PATH = "/graphql"
TAG = "GraphQL"
LONGEST_QUERY = 20_000
OK = 200
MEDIA_TYPE = "application/graphql-response+json"
# GraphQL over HTTP, 6.4: whoever answers 4xx in this form says so by the type.
GRAPHQL_TYPE = (b"content-type", MEDIA_TYPE.encode())
POSITION_SEEN = OpenAPIHeader(
    description="The position in the log up to which all views that were read had seen.",
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
)
EXPLORER = Path(__file__).parent / "explorer"
PAGES = (
    (PATH, "index.html", "text/html; charset=utf-8"),
    (f"{PATH}/explorer.js", "explorer.js", "text/javascript; charset=utf-8"),
)

JsonObject = dict[str, Any]
QueryText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=LONGEST_QUERY,
        examples=["{ products(first: 2) { nodes { id name price { amount currency } } } }"],
    ),
]


class Question(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True
):
    """A question in GraphQL; `extensions` are for tools between, and nothing here reads them."""

    query: QueryText
    variables: JsonObject | None = None
    operation_name: str | None = None
    extensions: JsonObject | None = None


class GraphqlError(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What went wrong, with the code that REST has for it under `extensions`."""

    message: str
    extensions: JsonObject
    path: list[str | int] | None = None
    locations: list[dict[str, int]] | None = None


class GraphqlAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What was found, as the GraphQL specification has it."""

    data: JsonObject | None
    errors: list[GraphqlError] | msgspec.UnsetType = msgspec.UNSET


ANSWERED = ResponseSpec(
    GraphqlAnswer,
    generate_examples=False,
    description="What was found; fields that were refused are null, and `errors` says why.",
)


PAGE = ResponseSpec(str, generate_examples=False, description="A page.", media_type="text/html")


@dataclass
class Asked(operation([*CONSISTENCY], [])):  # type: ignore[misc]  # a class that is made
    """The documented operation: what is not understood is told in GraphQL's own form as well."""

    def __post_init__(self) -> None:
        """Add the other form of a 400, and the header."""
        super().__post_init__()
        answers: Any = self.responses
        answers["200"].headers = {"Daybook-Position": POSITION_SEEN}
        answers["400"].content[MEDIA_TYPE] = answers["200"].content["application/json"]


def graphql(*, told: bool) -> list[HTTPRouteHandler]:
    """Return the routes; only if it is `told` can the schema be asked for, and tried on a page."""
    schema = schema_with(introspection=told)
    pages = [page(*one) for one in PAGES] if told else []
    return [asking_route(schema), *pages]


def asking_route(schema: strawberry.Schema) -> HTTPRouteHandler:
    """Return the route that takes questions."""

    @route(
        "POST",
        PATH,
        who=ANYONE,
        summary="Ask in GraphQL",
        tag=TAG,
        refusals=["VIEW_BEHIND"],
        answers={200: ANSWERED},
        operation=Asked,
    )
    async def ask_graphql(
        request: ApiRequest,
        data: JSONBody[Question],
        views: NamedDependency[Views],
        cursors: NamedDependency[Cursors],
    ) -> Answer[Any]:
        """Answer a question about users, orders and products, with the permissions of REST.

        At most 8 levels, 15 aliases, 1,000 tokens and 12,000 objects. What cannot be understood or
        is too much is answered with 400; what was refused is null, with an error that has REST's
        code.
        """
        asking = Asking(views, cursors, request.context.caller, data.operation_name)
        body = await carried_out(schema, data, asking)
        headers = [] if asking.position is None else [position_header(asking.position)]
        status = status_of(body)
        if status != OK:
            headers.append(GRAPHQL_TYPE)
        return Answer(body, status=status, headers=headers)

    return ask_graphql


async def carried_out(schema: strawberry.Schema, question: Question, asking: Asking) -> JsonObject:
    """Return what an answer holds: what was found, and what went wrong."""
    try:
        found = await schema.execute(
            question.query,
            variable_values=question.variables,
            context_value=asking,
            operation_name=question.operation_name,
        )
    except CannotGetOperationTypeError:
        return {"data": None, "errors": shown([GraphQLError("There is no such operation.")])}
    if found.errors:
        return {"data": found.data, "errors": shown(found.errors)}
    return {"data": found.data}


def status_of(body: JsonObject) -> int:
    """Return the status of an answer: whatever was carried out is 200, refused fields or not."""
    errors = body.get("errors", ())
    understood = body["data"] is not None or any("path" in one for one in errors)
    return OK if understood or not errors else 400


def page(path: str, name: str, media_type: str) -> HTTPRouteHandler:
    """Return the route of one file of the page."""
    content = (EXPLORER / name).read_bytes()

    def file() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=PAGE_POLICY)

    declared = HTTPRouteHandler(
        path,
        http_method="GET",
        include_in_schema=path == PATH,
        sync_to_thread=False,
        name=f"{PATH} {name}",
        operation_id="showExplorer",
        summary="A page to ask in GraphQL, in development",
        description="Show the schema, take a question and show its answer.",
        tags=[TAG],
        responses={200: PAGE},
    )
    return declared(file)
