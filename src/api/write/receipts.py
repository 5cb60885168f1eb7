"""Receipts of commands as HTTP has them."""

from typing import Any, TypeVar
from uuid import UUID

import msgspec

from api.envelope import Answer, Success, meta_of
from api.request import ApiRequest
from api.write.idempotency import REPLAYED
from commands.receipts import Receipt

Data = TypeVar("Data")


class Changed(msgspec.Struct, frozen=True, rename="camel"):
    """The resource and the version that it has now."""

    id: UUID
    version: int


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that needs no more than its path: an empty body, or `{}`."""


NO_BODY = msgspec.json.Decoder(NoBody)


def headers_of(receipt: Receipt[Any]) -> list[tuple[bytes, bytes]]:
    """Return the headers of every receipt."""
    return [
        (b"etag", b'"%d"' % receipt.version),
        (b"daybook-position", b"%d" % receipt.position),
        *([REPLAYED] if receipt.repeated else []),
    ]


def created(receipt: Receipt[Any], location: str, data: Data) -> Answer[Success[Data]]:
    """Answer that something new is at `location`."""
    headers = [*headers_of(receipt), (b"location", location.encode())]
    body = Success(data=data, meta=meta_of(receipt.at, receipt.request_id))
    return Answer(body, status=201, headers=headers)


def accepted(receipt: Receipt[Any], location: str, data: Data) -> Answer[Success[Data]]:
    """Answer that something will be done, and that `location` says how far it is."""
    headers = [*headers_of(receipt), (b"location", location.encode()), (b"retry-after", b"1")]
    body = Success(data=data, meta=meta_of(receipt.at, receipt.request_id))
    return Answer(body, status=202, headers=headers)


def answered(receipt: Receipt[Any], data: Data) -> Answer[Success[Data]]:
    """Answer what the asker could not know."""
    body = Success(data=data, meta=meta_of(receipt.at, receipt.request_id))
    return Answer(body, headers=headers_of(receipt))


def changed(receipt: Receipt[Any]) -> Answer[Success[Changed]]:
    """Answer that a resource has a new version."""
    return answered(receipt, Changed(receipt.id, receipt.version))


def gone(receipt: Receipt[Any]) -> Answer[None]:
    """Answer that something is no more."""
    return Answer(None, status=204, headers=headers_of(receipt))


async def check_no_body(request: ApiRequest) -> None:
    """Refuse a body that says something to a command that takes nothing."""
    if await request.body():
        await request.json_by(NO_BODY)
