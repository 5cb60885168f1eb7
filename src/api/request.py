"""Requests as handlers get them: their context, and a body that is read strictly.

One meaning for every body: JSON in UTF-8, an object, at most 1 MiB and 32 levels; of equal names
the last one counts; a name that the command does not know is an error.
"""

import asyncio
import re
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.types import Empty

from api.errors import MalformedRequest, PayloadTooLarge, UnsupportedMediaType
from api.request_context import Caller, Context, context_of
from domain.refusal import Detail, Invalid

LARGEST_BODY = 1 << 20
DEEPEST_BODY = 32
BODY_SECONDS = 20
JSON = re.compile(
    r"application/(?:[a-z0-9.!#$&^_-]+\+)?json\s*(?:;\s*charset=\"?utf-8\"?\s*)?;?", re.IGNORECASE
)
PLACE = re.compile(r" - at `\$\.?(?P<path>.*)`$", re.DOTALL)
FIELD = re.compile(
    r"^Object (?P<problem>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL
)
LENGTH = re.compile(r"^Expected `str` of length (?P<sign>[<>])= (?P<count>\d+)$")

Decoder: TypeAlias = msgspec.json.Decoder[Any]


class ApiRequest(Request[Any, Any, State]):
    """A request to the API."""

    @property
    def context(self) -> Context:
        """What is known of the request besides its body."""
        return context_of(self.scope)

    @property
    def caller(self) -> Caller:
        """Who asks; only behind a route that demands somebody."""
        caller = self.context.caller
        assert caller is not None  # noqa: S101 - the route says who may call it
        return caller

    async def body(self) -> bytes:
        """Return the body; `MalformedRequest` where one is needed and none came."""
        if self._body is Empty:
            self._body = await whole_body(self)
            if not self._body and "data" in self.route_handler.parsed_fn_signature.parameters:
                raise MalformedRequest("A JSON object is needed as the body.")
        return self._body

    async def json(self) -> Any:
        """Return the body as the type that the handler's `data` has."""
        return await self.json_by(decoder_of(self.route_handler))

    async def json_by(self, decoder: Decoder) -> Any:
        """Return the body as a struct; `UnsupportedMediaType`, `MalformedRequest` or `Invalid`."""
        headers = self.context.headers
        content_type = headers.get(b"content-type", b"").decode("latin-1").strip()
        if not JSON.fullmatch(content_type) or b"content-encoding" in headers:
            raise UnsupportedMediaType
        return decoded(await self.body(), decoder)


async def whole_body(request: ApiRequest) -> bytes:
    """Receive the body; `PayloadTooLarge`, or `MalformedRequest` if it does not arrive in time."""
    announced = request.context.headers.get(b"content-length", b"0")
    if announced.isdigit() and (len(announced) > len("1048576") or int(announced) > LARGEST_BODY):
        raise PayloadTooLarge
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise MalformedRequest("The body did not arrive.")
                chunks.append(message.get("body", b""))  # type: ignore[arg-type]  # bytes in http.request
                size += len(chunks[-1])
                if size > LARGEST_BODY:
                    raise PayloadTooLarge
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise MalformedRequest("The body did not arrive in time.") from None


@lru_cache(512)
def decoder_of(handler: BaseRouteHandler) -> Decoder:
    """Return the decoder of a handler's `data`."""
    return msgspec.json.Decoder(handler.parsed_fn_signature.parameters["data"].raw)


def decoded(body: bytes, decoder: Decoder) -> Any:
    """Return the body as a struct; `MalformedRequest` if it is no JSON object, else `Invalid`."""
    try:
        found = decoder.decode(body)
    except msgspec.ValidationError as error:
        check_wellformed(body)
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    if body.count(b"{") + body.count(b"[") > DEEPEST_BODY:
        check_wellformed(body)  # what takes any object, as GraphQL's variables do, may be deep
    return found


def check_wellformed(body: bytes) -> None:
    """Raise `MalformedRequest` unless all of a body is JSON, an object and not too deep.

    A decoder with a type stops at the first value that does not fit, so the rest may be anything.
    """
    try:
        whole = msgspec.json.decode(body)
    except msgspec.ValidationError:
        return  # JSON with a number that is too large
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None
    if not isinstance(whole, dict):
        raise MalformedRequest("The body must be a JSON object.")
    if depth(whole) > DEEPEST_BODY:
        raise MalformedRequest(f"The body is nested deeper than {DEEPEST_BODY} levels.")


def malformed(error: Exception) -> MalformedRequest:
    """Return what to say about a body that does not parse."""
    if isinstance(error, RecursionError):
        return MalformedRequest(f"The body is nested deeper than {DEEPEST_BODY} levels.")
    if isinstance(error, UnicodeDecodeError):
        return MalformedRequest("The body is not UTF-8.")
    return MalformedRequest(f"The body is not JSON: {error}.")


def depth(value: object) -> int:
    """Return how many levels of objects and arrays there are, or one more than allowed."""
    level, levels = [value], 0
    while levels <= DEEPEST_BODY:
        nested = [item for item in level if isinstance(item, dict | list)]
        if not nested:
            break
        levels += 1
        level = [inner for item in nested for inner in children(item)]
    return levels


def children(value: "dict[str, object] | list[object]") -> list[object]:
    """Return what an object or array holds."""
    return list(value.values()) if isinstance(value, dict) else value


def invalid(problem: str) -> Invalid:
    """Make the refusal of a msgspec message such as: Expected `str`, got `int` - at `$.a[0]`."""
    place = PLACE.search(problem)
    path = place["path"] if place else ""
    message = problem[: place.start()] if place else problem
    if found := FIELD.match(message):
        path = f"{path}.{found['name']}" if path else found["name"]
        missing = found["problem"].startswith("missing")
        message = "This field is missing." if missing else "There is no such field."
    if found := LENGTH.match(message):
        most = found["sign"] == "<"
        kind = "At most {} characters are allowed" if most else "At least {} characters are needed"
        message = f"{kind.format(found['count'])} here."
    return Invalid(None, Detail(path, message.replace("`", "")))
