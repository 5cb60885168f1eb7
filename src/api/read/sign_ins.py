"""Sign-ins over HTTP, for auditors: who tried, from where, with what, and what came of it."""

from typing import Annotated, Any

import msgspec
from litestar.di import NamedDependency

from api.envelope import Answer, CursorPagination, Stretch, meta
from api.guards import AUDITOR
from api.links import link_to_next, links_to
from api.read.cursors import Cursors, Place
from api.read.evidence import access
from api.read.lists import LARGEST_PAGE, given_in, read_values
from api.read.values import Value, choice, cursor, identity, instant, text, whole
from api.read.views import operation, parameter
from api.request import ApiRequest
from api.routes import V1, route
from api.successes import success
from event_store.sign_in_records import KINDS, SignIn, SignInQuery
from event_store.trail import Trail

VALUES: dict[str, Value] = {
    "cursor": cursor("Where to go on: next or prev of a pagination, as it was given."),
    "limit": whole("How many records.", 1, LARGEST_PAGE, 20),
    "kind": choice("Only what came of it so.", KINDS),
    "userId": identity("Only of this user."),
    "account": text("Only of this account, the keyed hash of an e-mail address."),
    "address": text("Only from this address."),
    "from": instant("Only since then.", day_counts=False),
    "to": instant("Only before then, or on that day too.", day_counts=True),
}
FIELDS = {"userId": "user_id", "from": "since", "to": "until"}


class SignInView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A sign-in, or what became of a session; `account` is a keyed hash of the e-mail address."""

    at: Annotated[str, msgspec.Meta(examples=["2026-11-23T09:30:00.000Z"])]
    kind: Annotated[str, msgspec.Meta(examples=["signed_in"])]
    user_id: str | None
    session_id: str | None
    account: str | None
    address: Annotated[str, msgspec.Meta(examples=["198.51.100.7"])]
    agent: Annotated[str, msgspec.Meta(examples=["Mozilla/5.0"])]
    request_id: str


@route(
    "GET",
    f"{V1}/audit/sign-ins",
    who=AUDITOR,
    summary="List sign-ins",
    tag="Audit",
    refusals=["UNAVAILABLE"],
    query=VALUES,
    answers={200: success(Stretch[SignInView])},
    operation=operation([parameter(*one, ()) for one in VALUES.items()], []),
    links={
        **links_to("showUser", user_id="$response.body#/data/0/userId"),
        **link_to_next("listSignIns", VALUES),
    },
)
async def list_sign_ins(
    request: ApiRequest, trail: NamedDependency[Trail], cursors: NamedDependency[Cursors]
) -> Answer[Any]:
    """List sign-ins, failures, locks, refreshes, reuse, sign-outs and rotations of keys."""
    found = read_values(VALUES, given_in(request))
    place = cursors.open(named(found), found["cursor"], [int]) if "cursor" in found else None
    part, more = await trail.sign_ins(query_of(found, place), access(request, "sign-ins"))
    body = Stretch(
        data=[view(one) for one in part],
        pagination=pagination(found, cursors, part, place, more=more),
        meta=meta(request.context.request_id),
    )
    return Answer(body)


def query_of(found: dict[str, Any], place: Place | None) -> SignInQuery:
    """Return what is asked of the records."""
    filters = {FIELDS.get(name, name): one for name, one in found.items() if name != "cursor"}
    if place is not None:
        filters["after" if place.backwards else "before"] = place.values[0]
    return SignInQuery(**filters)


def named(found: dict[str, Any]) -> bytes:
    """Return what a cursor holds for: this list with these filters."""
    filters = {name: str(one) for name, one in found.items() if name not in {"cursor", "limit"}}
    return msgspec.json.encode(["sign-ins", sorted(filters.items())])


def pagination(
    found: dict[str, Any], cursors: Cursors, part: list[SignIn], place: Place | None, *, more: bool
) -> CursorPagination:
    """Return the cursors of the neighbours of a part."""
    limit = found.get("limit", 20)
    if not part:
        return CursorPagination(None, None, limit)
    backwards = place is not None and place.backwards
    older, newer = (True, more) if backwards else (more, place is not None)
    listed = named(found)
    following = cursors.seal(listed, Place((part[-1].number,), False)) if older else None
    preceding = cursors.seal(listed, Place((part[0].number,), True)) if newer else None
    return CursorPagination(following, preceding, limit)


def view(found: SignIn) -> SignInView:
    """Show a record."""
    return SignInView(
        at=found.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        kind=found.kind,
        user_id=str(found.user_id) if found.user_id else None,
        session_id=str(found.session_id) if found.session_id else None,
        account=found.account,
        address=found.address,
        agent=found.agent,
        request_id=found.request_id,
    )


HANDLERS = [list_sign_ins]
