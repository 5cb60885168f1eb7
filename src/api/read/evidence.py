"""The log's evidence over HTTP: signed heads for everybody to keep, proofs for auditors."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation
from litestar.types import AnyCallable

from api.envelope import Answer, Success, meta
from api.errors import MalformedRequest
from api.guards import ANYONE, AUDITOR, Who
from api.links import Links, links_to
from api.read.lists import given_in, read_values
from api.read.values import Value, whole
from api.read.views import operation, parameter
from api.request import ApiRequest
from api.routes import NO_LINKS, V1, route
from api.successes import success
from domain.refusal import Detail, NotFound
from event_store.evidence.heads import head_in
from event_store.evidence.proofs import ConsistencyProof, InclusionProof, encoded
from event_store.history.accesses import Access, Kind
from event_store.trail import Trail

TAG = "Audit"
LARGEST = 999_999_999
SIZE = "$response.body#/data/size"
POSITION = {"position": whole("The event's position in the log.", 1, LARGEST)}
SIZES = {
    "first": whole("How many events the first head signs.", 1, LARGEST),
    "second": whole("How many events the second head signs.", 1, LARGEST),
}


class HeadView(msgspec.Struct, frozen=True, rename="camel"):
    """The newest signed head. `note` is what is signed and kept elsewhere; the rest is read in it.

    Its format is the checkpoint of C2SP (c2sp.org/tlog-checkpoint), with the time as a fourth line.
    `accessesNote` is the same of the records of who asked what, null while there are none.
    """

    size: int
    root: str
    signed_at: str
    note: str
    accesses_note: str | None


class KeysView(msgspec.Struct, frozen=True, rename="camel"):
    """The public keys that have signed heads, oldest first, as name+hash+key (C2SP)."""

    keys: list[str]


def evidence_route(  # noqa: PLR0913 - what a client must know of a route, each by its name
    path: str,
    view: type[msgspec.Struct],
    values: dict[str, Value],
    *,
    who: Who,
    summary: str,
    links: Links = NO_LINKS,
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a route of the evidence with its query parameters, all of them needed."""
    parameters = [parameter(*one, values) for one in values.items()]
    documented: type[Operation] = operation(parameters, [])
    return route(
        "GET",
        f"{V1}/audit/{path}",
        who=who,
        summary=summary,
        tag=TAG,
        refusals=["UNAVAILABLE", "NOT_FOUND"],
        query=values,
        answers={200: success(Success[view])},  # type: ignore[valid-type]  # for the document alone
        operation=documented,
        links=links,
    )


@evidence_route(
    "head",
    HeadView,
    {},
    who=ANYONE,
    summary="Show the newest signed head",
    links={
        **links_to("proveInclusion", position=SIZE),
        **links_to("proveConsistency", first=SIZE, second=SIZE),
        **links_to("exportEvents", "proveExport", size=SIZE),
    },
)
async def show_head(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """Show how long the log is and the root of the tree over it, signed: for keeping elsewhere."""
    note = await trail.newest_head()
    if note is None:
        raise NotFound("Nothing has been signed yet.")
    head = head_in(note)
    moment = f"{head.signed_at:%Y-%m-%dT%H:%M:%SZ}"
    accesses = await trail.newest_access_head()
    return answered(request, HeadView(head.size, encoded(head.root), moment, note, accesses))


@evidence_route("keys", KeysView, {}, who=ANYONE, summary="List the keys that sign heads")
async def list_keys(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """List the public keys of this log. Keep them elsewhere too: they are what is trusted."""
    return answered(request, KeysView(await trail.public_keys()))


@evidence_route("proofs/inclusion", InclusionProof, POSITION, who=AUDITOR, summary="Prove an event")
async def prove_inclusion(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """Prove that an event is in the log, by the oldest head that covers it (RFC 9162, 2.1.3)."""
    asked = required(POSITION, request)
    proof = await trail.inclusion(asked["position"], access(request, "inclusion"))
    if proof is None:
        raise NotFound("There is no such event, or no head covers it yet.")
    return answered(request, proof)


@evidence_route(
    "proofs/consistency", ConsistencyProof, SIZES, who=AUDITOR, summary="Prove a continuation"
)
async def prove_consistency(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """Prove that the log of one head is the beginning of that of another (RFC 9162, 2.1.4)."""
    asked = required(SIZES, request)
    proof = await trail.consistency(asked["first"], asked["second"], access(request, "consistency"))
    if proof is None:
        raise NotFound("There are no heads of these sizes, in this order.")
    return answered(request, proof)


def access(request: ApiRequest, action: str, kind: Kind = "question", /, **more: str) -> Access:
    """Return what is recorded of a question."""
    caller, asked = request.caller, {**more, **given_in(request)}
    who = (str(caller.user_id), caller.role, request.context.request_id)
    return Access(*who, action, asked, kind)


def required(values: dict[str, Value], request: ApiRequest) -> dict[str, Any]:
    """Return the parameters, all of which are needed."""
    given = given_in(request)
    missing = [Detail(name, "This parameter is needed.") for name in values if name not in given]
    if missing:
        raise MalformedRequest(None, *missing)
    return read_values(values, given)


def answered(request: ApiRequest, view: msgspec.Struct) -> Answer[Any]:
    """Answer with what was asked for."""
    return Answer(Success(data=view, meta=meta(request.context.request_id)))


HANDLERS = [show_head, list_keys, prove_inclusion, prove_consistency]
