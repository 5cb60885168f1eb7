"""What commands are asked with and answered with: the asker, and receipts as HTTP has them."""

import re
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from api.envelope import Answer, Success, meta
from api.errors import MalformedRequest
from api.request import ApiRequest
from commands.receipts import Receipt
from commands.work import Asker

NOBODY = "anonymous"
VERSION = re.compile(r'"(0|[1-9][0-9]{0,8})"')

Data = TypeVar("Data")


class Changed(msgspec.Struct, frozen=True, rename="camel"):
    """The resource and the version that it has now."""

    id: UUID
    version: int


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that needs no more than its path: an empty body, or `{}`."""


NO_BODY = msgspec.json.Decoder(NoBody)


def asker_of(request: ApiRequest) -> Asker:
    """Return who asks, for the audit columns and the rules of commands."""
    context = request.context
    caller = context.caller
    return Asker(
        actor_id=str(caller.user_id) if caller else NOBODY,
        role=caller.role if caller else NOBODY,
        request_id=context.request_id,
        correlation_id=context.correlation_id,
        user_id=caller.user_id if caller else None,
        session_id=caller.session_id if caller else None,
        if_match=expected_version(context.headers.get(b"if-match")),
    )


def expected_version(header: bytes | None) -> int | None:
    """Return the version that If-Match demands; None: any."""
    if header is None or header.strip() == b"*":
        return None
    match = VERSION.fullmatch(header.decode("latin-1").strip())
    if match is None:
        raise MalformedRequest('If-Match must be one version in quotes, such as "3", or *.')
    return int(match.group(1))


def headers_of(receipt: Receipt[Any]) -> list[tuple[bytes, bytes]]:
    """Return the headers of every receipt."""
    return [
        (b"etag", b'"%d"' % receipt.version),
        (b"daybook-position", b"%d" % receipt.position),
    ]


def created(
    request: ApiRequest, receipt: Receipt[Any], location: str, data: Data
) -> Answer[Success[Data]]:
    """Answer that something new is at `location`."""
    headers = [*headers_of(receipt), (b"location", location.encode())]
    body = Success(data=data, meta=meta(request.context.request_id))
    return Answer(body, status=201, headers=headers)


def answered(request: ApiRequest, receipt: Receipt[Any], data: Data) -> Answer[Success[Data]]:
    """Answer what the asker could not know."""
    body = Success(data=data, meta=meta(request.context.request_id))
    return Answer(body, headers=headers_of(receipt))


def changed(request: ApiRequest, receipt: Receipt[Any]) -> Answer[Success[Changed]]:
    """Answer that a resource has a new version."""
    return answered(request, receipt, Changed(receipt.id, receipt.version))


def gone(receipt: Receipt[Any]) -> Answer[None]:
    """Answer that something is no more."""
    return Answer(None, status=204, headers=headers_of(receipt))


async def check_no_body(request: ApiRequest) -> None:
    """Refuse a body that says something to a command that takes nothing."""
    if await request.body():
        await request.json_by(NO_BODY)
