"""How a view is answered: its position, a page around its rows, an ETag and what it spares."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from api.envelope import Answer, Headers, Page, Success, meta, pagination
from api.errors import MalformedRequest, OtherVersion
from api.read.lists import Asked
from api.request import ApiRequest
from api.routes import V1, V2
from projections import listing

# RFC 9110, 8.8.3, 13.1.1 and 13.1.2.
TAG = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
TAGS = re.compile(rf"[ \t,]*{TAG}[ \t]*(?:,[ \t]*(?:{TAG}[ \t]*)?)*")
ONE_TAG = re.compile(TAG)

# Since when version 1 has a successor: 25 November 2026.
DEPRECATED = b"@1795564800"

# What an answer holds is documented at its route: a view, or the fields of it that were asked for.
ViewAnswer = Answer[Any]


def listed(
    request: ApiRequest, asked: Asked, page: listing.Page, views: Sequence[msgspec.Struct]
) -> ViewAnswer:
    """Answer with a page of a list."""
    body = Page(
        data=[chosen(view, asked.fields) for view in views],
        pagination=pagination(asked.page, asked.limit, page.total, counted=page.counted),
        meta=meta(request.context.request_id),
    )
    return Answer(body, headers=[position_header(page.position), *succeeded(request)])


def single(
    request: ApiRequest,
    view: msgspec.Struct,
    fields: tuple[str, ...] | None,
    *,
    version: int | str,
    position: int,
) -> ViewAnswer:
    """Answer with one resource; 304 without it if the client has this version.

    Raises `OtherVersion` if the client wants another version only (RFC 9110, 13.2.2).
    """
    tag = str(version)
    etag = (b"etag", b'"%b"' % tag.encode())
    headers = [etag, position_header(position), *succeeded(request)]
    given = request.context.headers
    if not is_wanted(given.get(b"if-match"), tag):
        raise OtherVersion
    if is_known(given.get(b"if-none-match"), tag):
        return Answer(None, status=304, headers=headers)
    body = Success(data=chosen(view, fields), meta=meta(request.context.request_id))
    return Answer(body, headers=headers)


def succeeded(request: ApiRequest) -> Headers:
    """Return the headers that point to version 2 (RFC 9745, RFC 8288) where that differs."""
    if not request.route_handler.opt.get("succeeded"):
        return []
    successor = request.scope["path"].replace(V1, V2, 1)
    link = f'<{successor}>; rel="successor-version"'
    return [(b"deprecation", DEPRECATED), (b"link", link.encode())]


def position_header(position: int) -> tuple[bytes, bytes]:
    """Return the header that says how far a view has come."""
    return b"daybook-position", b"%d" % position


def is_known(header: bytes | None, version: str) -> bool:
    """Tell whether If-None-Match names a version; weak and strong tags are equal here."""
    return header is not None and names(header, "If-None-Match", version, weak=True)


def is_wanted(header: bytes | None, version: str) -> bool:
    """Tell whether If-Match, where there is one, names a version; a weak tag never does."""
    return header is None or names(header, "If-Match", version, weak=False)


def names(header: bytes, name: str, version: str, *, weak: bool) -> bool:
    """Tell whether a header names a version; `MalformedRequest` if it is no list of tags."""
    text = header.decode("latin-1").strip()
    if text == "*":
        return True
    if not TAGS.fullmatch(text):
        raise MalformedRequest(f'{name} must be versions in quotes, such as "3", or *.')
    return any(tag == version and (weak or not sign) for sign, tag in ONE_TAG.findall(text))


def chosen(view: msgspec.Struct, fields: tuple[str, ...] | None) -> object:
    """Return a view, or the fields of it that are wanted and that the caller may see."""
    if fields is None:
        return view
    attributes = attributes_of(type(view))
    found = ((name, getattr(view, attributes[name])) for name in fields)
    return {name: value for name, value in found if value is not msgspec.UNSET}


@lru_cache(64)
def attributes_of(view: type[msgspec.Struct]) -> dict[str, str]:
    """Return the attributes of a view by the names that clients use."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(view)}
