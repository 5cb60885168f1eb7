"""The OpenAPI documents and the page that shows them, all of it served from here."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from api.body_schemas import REF, body_type, complete
from api.examples import example, failures
from api.negotiation import Problem
from api.routes import V1
from api.versions import first_version, second_version

Schema = dict[str, Any]

ASSETS = Path(__file__).parent / "docs"
PAGE_POLICY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
DESCRIPTION = """
Commands are posted and answered with a receipt: the id, the new version (also as `ETag`) and the
position in the log (`Daybook-Position`). Views follow the log; a read that sends that position back
in `Daybook-Min-Position` sees at least that state.

Every answer has the same envelope; `error.code` is stable, `error.message` is for people. A client
that accepts `application/problem+json` gets errors as RFC 9457 problems with the same `code`.
Unknown fields in a body and unknown query parameters are errors; of equal names in an object the
last one counts. Times are RFC 3339 in UTC, ids are UUIDs, money is a decimal string and a currency.

Requests are limited for each user, or each address without one: every answer says in
`RateLimit-Policy` and `RateLimit` (IETF draft) how many are left. One too many is answered 429 with
`Retry-After`.

Roles: `customer`, `staff`, `auditor`, `admin`. An administrator may do all that staff may. What is
somebody else's does not exist for a customer (404). A request whose access token is bad is refused
even where none is needed. `If-Match: "<version>"` makes a command hold only for that version, and
`*` for any; what is to be created has none, so there neither holds (412).

`Idempotency-Key` makes a repetition safe: a request with the same key, method, path and body gets
the first answer again with `Idempotency-Replayed: true`, also if the first was refused for the
state that things were in, and also if both come at once; another request under the key is refused
(422). Answers that hold tokens are not remembered.
"""


class Unserved(Router):
    """Takes Litestar's own documentation pages and serves none: they load from the internet."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - the signature is Litestar's
        """Forget the page."""
        return []


def openapi_config(version: str) -> OpenAPIConfig:
    """Return what the document says besides the routes."""
    return OpenAPIConfig(
        title="Daybook",
        version=version,
        description=DESCRIPTION.strip(),
        openapi_router=Unserved("/", route_handlers=[]),
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
            }
        ),
    )


def documentation() -> list[HTTPRouteHandler]:
    """Return the routes of the documents and their page."""
    documents = [document(*one) for one in DOCUMENTS]
    return [*documents, *(asset(*one) for one in PAGES)]


DOCUMENTS = (("/openapi.json", first_version), ("/openapi-v2.json", second_version))


PAGES = (
    ("/docs", "index.html", "text/html; charset=utf-8"),
    ("/docs/docs.js", "docs.js", "text/javascript; charset=utf-8"),
    ("/docs/docs.css", "docs.css", "text/css; charset=utf-8"),
)


def document(path: str, version: Callable[[Schema], Schema]) -> HTTPRouteHandler:
    """Return the route of a document, which is made at the first request."""

    @lru_cache(1)
    def encoded(app: Litestar) -> bytes:
        return msgspec.json.encode(version(completed(app)))

    @get(path, include_in_schema=False, sync_to_thread=False, name=path)
    def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(encoded(request.app), media_type=MediaType.JSON)

    return openapi_json


def completed(app: Litestar) -> Schema:
    """Return the document of all routes with what Litestar leaves out: headers, rules of bodies."""
    document = app.openapi_schema.to_schema()
    schemas = document["components"]["schemas"]
    handlers = handlers_of(app)
    schemas |= msgspec.json.schema_components([Problem], ref_template=f"{REF}{{name}}")[1]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            handler = handlers[operation["operationId"]]
            for body in operation.get("requestBody", {}).get("content", {}).values():
                complete(body["schema"], body_type(handler), schemas)
                body["examples"] = {"example": {"value": example(body["schema"], schemas)}}
            is_command = method != "get" and path.startswith(V1)
            if is_command and "412" in operation["responses"]:
                operation.setdefault("parameters", []).append(IF_MATCH)
            if is_command and "/auth/" not in path:
                operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
            for status, response in operation["responses"].items():
                if status in BODILESS:
                    response.pop("content", None)
                illustrate(response, schemas)
                response["headers"] = headers_of(status, is_command=is_command) | response.get(
                    "headers", {}
                )
            if links := handler.opt.get("links"):
                operation["responses"][str(handler.status_code)]["links"] = dict(links)
    return document


def handlers_of(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """Return the handlers by the names of their operations."""
    routes = [one for one in app.routes if isinstance(one, HTTPRoute)]
    handlers = [one for route in routes for one in route.route_handlers]
    return {str(one.operation_id): one for one in handlers}


def illustrate(response: Schema, schemas: Schema) -> None:
    """Give an answer its examples, and an error its other form."""
    for content in [*response.get("content", {}).values()]:
        if is_failure(content["schema"], schemas):
            codes = response["description"]
            content["examples"] = failures(codes, as_problem=False)
            problem = {"schema": {"$ref": f"{REF}Problem"}}
            response["content"][PROBLEM] = problem | {"examples": failures(codes, as_problem=True)}
        else:
            content["examples"] = {"example": {"value": example(content["schema"], schemas)}}


def is_failure(schema: Schema, schemas: Schema) -> bool:
    """Tell whether a schema is that of a refusal, whatever its name has become among others."""
    found = schemas.get(schema.get("$ref", "").rpartition("/")[2], {})
    return set(found.get("properties", ())) == {"success", "error", "meta"}


BODILESS = ("204", "304")
PROBLEM = "application/problem+json"
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "description": "The version, in quotes, that the resource must have.",
    "required": False,
    "schema": {"type": "string", "pattern": r'^("(0|[1-9][0-9]{0,8})"|\*)$', "examples": ['"3"']},
}
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes a repetition safe: it gets the first answer again, and nothing is done.",
    "required": False,
    "schema": {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
}
HEADERS = {
    "Idempotency-Replayed": "true: this is the answer to an earlier request with the same key.",
    "ETag": "The version of the resource, in quotes.",
    "Daybook-Position": "Where in the log a view must be to show it.",
    "Location": "Where the new resource is, or how far what was asked for has come.",
    "WWW-Authenticate": "How to sign in (RFC 6750).",
    "Retry-After": "Seconds to wait.",
    "RateLimit-Policy": "How many requests (q) are taken in so many seconds (w).",
    "RateLimit": "How many requests are left (r), and the seconds until there is one more (t).",
}


def headers_of(status: str, *, is_command: bool) -> Schema:
    """Return the headers that an answer with this status has."""
    names = {
        "401": ["WWW-Authenticate"],
        "429": ["Retry-After", "RateLimit-Policy", "RateLimit"],
        "503": ["Retry-After"],
    }.get(status, [])
    if is_command and status.startswith("2"):
        names = ["ETag", "Daybook-Position", "Idempotency-Replayed"]
        names += {"201": ["Location"], "202": ["Location", "Retry-After"]}.get(status, [])
    return {name: {"description": HEADERS[name], "schema": {"type": "string"}} for name in names}


def asset(path: str, name: str, media_type: str) -> HTTPRouteHandler:
    """Return the route of one file of the page."""
    content = (ASSETS / name).read_bytes()

    @get(path, include_in_schema=False, sync_to_thread=False, name=name)
    def file() -> Response[bytes]:
        return Response(content, media_type=media_type, headers=PAGE_POLICY)

    return file
