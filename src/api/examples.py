"""Examples for the OpenAPI documents: of every body that is sent and every answer, errors too."""

from http import HTTPStatus
from typing import Any

from api.errors import STATUSES

Schema = dict[str, Any]

DEEPEST = 8
REQUEST_ID = "0b8a7c9d4e5f60718293a4b5c6d7e8f9"
MOMENT = "2026-11-23T09:30:00.000Z"
IDENTITY = "019ab2f4-7c1e-7d3a-9c55-2f1e8b6a4d10"

# What a property holds, by its name; where a name has several meanings, the schema decides.
VALUES: dict[str, Any] = {
    "accessToken": "eyJhbGciOiJIUzI1NiIs…",
    "refreshToken": "eyJhbGciOiJIUzI1NiIs…",
    "amount": "25.00",
    "carrier": "Royal Mail",
    "count": 3,
    "currency": "GBP",
    "currentPassword": "correct horse battery",
    "email": "ada@example.com",
    "expiresIn": 3600,
    "field": "email",
    "limit": 20,
    "name": "Ada Lovelace",
    "newPassword": "another horse battery",
    "page": 1,
    "password": "correct horse battery",
    "productName": "White hanging heart",
    "quantity": 2,
    "reason": "No longer needed",
    "requestId": REQUEST_ID,
    "sku": "TEA-1",
    "stock": 10,
    "text": "Called the customer.",
    "timestamp": MOMENT,
    "tokenType": "Bearer",
    "total": 1,
    "totalPages": 1,
    "trackingNumber": "RR123456785GB",
    "units": 2,
    "version": 3,
}
BY_FORMAT = {
    "uuid": IDENTITY,
    "date-time": "2026-11-23T09:30:00Z",
    "date": "2026-11-23",
    "email": "ada@example.com",
}

SENTENCES = {
    "MALFORMED_REQUEST": "The request cannot be understood.",
    "UNAUTHENTICATED": "Sign in first: send Authorization: Bearer and an access token.",
    "TOKEN_EXPIRED": "The access token has expired: refresh the session.",
    "INVALID_CREDENTIALS": "The e-mail address or the password is wrong.",
    "REFRESH_REUSED": "This refresh token was used before: the session has ended.",
    "FORBIDDEN": "You are not allowed to do this.",
    "NOT_FOUND": "There is no such resource.",
    "EMAIL_TAKEN": "This e-mail address belongs to an account already.",
    "SKU_TAKEN": "There is a product with this SKU already.",
    "OUT_OF_STOCK": "There is not enough in stock.",
    "INVALID_STATE": "The present state does not allow it.",
    "VERSION_CONFLICT": "It was changed by others at the same moment: try again.",
    "PRECONDITION_FAILED": "The resource has another version than If-Match wants.",
    "PAYLOAD_TOO_LARGE": "The body is larger than 1 MiB.",
    "UNSUPPORTED_MEDIA_TYPE": "The body must be JSON: Content-Type: application/json.",
    "VALIDATION_ERROR": "The request is not valid.",
    "IDEMPOTENCY_KEY_REUSED": "This key was used for another request.",
    "RATE_LIMITED": "Too many requests: try again later.",
    "INTERNAL_ERROR": "Something went wrong here. Tell the operator this request's id.",
    "UNAVAILABLE": "The database gives no answer right now: try again in a moment.",
    "VIEW_BEHIND": "The view has seen position 41 and not yet 42: try again in a moment.",
}


def example(schema: Schema, schemas: Schema, name: str = "", depth: int = 0) -> Any:
    """Return a value that a schema describes; `name` is that of the property that holds it."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for given in ("const", "default"):
        if schema.get(given) is not None:
            return schema[given]
    if choices := schema.get("examples") or schema.get("enum"):
        return choices[0]
    for choices in ("oneOf", "anyOf"):
        if choices in schema:
            found = [one for one in schema[choices] if one.get("type") != "null"]
            return example(found[0], schemas, name, depth) if depth < DEEPEST else None
    if "properties" in schema:
        properties = schema["properties"]
        called = {"name": "productName"} if "sku" in properties else {}
        return {
            key: example(one, schemas, called.get(key, key), depth + 1)
            for key, one in properties.items()
        }
    if schema.get("type") == "array":
        return [example(schema["items"], schemas, name.removesuffix("s"), depth + 1)]
    return plain(schema, name)


def plain(schema: Schema, name: str) -> Any:
    """Return a value without parts."""
    kind = schema.get("type")
    kind = next((one for one in kind if one != "null"), None) if isinstance(kind, list) else kind
    known = VALUES.get(name)
    if kind in {"integer", "number"}:
        return known if isinstance(known, int) else max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return name not in {"hasNext", "hasPrev"}
    if kind == "object":
        return {}
    if schema.get("format") in BY_FORMAT:
        return known if isinstance(known, str) else BY_FORMAT[schema["format"]]
    if isinstance(known, str):
        return known
    return "text"


def failures(codes: str, *, as_problem: bool) -> Schema:
    """Return an example of each refusal that an answer may be; `codes` are separated by commas."""
    made = problem if as_problem else envelope
    return {code: {"value": made(code)} for code in codes.split(", ")}


def envelope(code: str) -> Schema:
    """Return a refusal in the envelope."""
    return {
        "success": False,
        "error": {"code": code, "message": sentence(code)},
        "meta": {"timestamp": MOMENT, "requestId": REQUEST_ID},
    }


def problem(code: str) -> Schema:
    """Return a refusal as a problem."""
    status = STATUSES[code]
    return {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence(code),
        "code": code,
        "timestamp": MOMENT,
        "requestId": REQUEST_ID,
    }


def sentence(code: str) -> str:
    """Return what a refusal says, in general."""
    return SENTENCES.get(code, "It cannot be done.")
