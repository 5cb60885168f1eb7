"""All that is held about a person, for that person."""

from typing import Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency

from api.envelope import Answer, Success, meta
from api.guards import SIGNED_IN
from api.read.answers import position_header
from api.read.evidence import access
from api.read.users import UserId
from api.read.views import CONSISTENCY, POSITION, operation
from api.request import ApiRequest
from api.routes import V1, route
from domain.refusal import Forbidden, NotFound
from event_store.privacy.held import Happened, PersonalData, RememberedAnswer, SignIn
from event_store.trail import Trail
from projections import orders, users
from projections.listing import Request
from projections.orders import OrderView, order_view
from projections.reading.views import Views
from projections.users import UserView, user_view

PAGE = 100
MOST_ORDERS = 10_000


class PersonalDataView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What is held: account, history, orders with notes, sessions, sign-ins, remembered answers.

    `orders` are the newest 10,000; if there are `moreOrders`, the list of orders has them.
    `sessions` are the newest 1,000 events of them; from where that was asked is in the sign-ins.
    """

    account: UserView
    history: list[Happened]
    orders: list[OrderView]
    more_orders: bool
    sessions: list[Happened]
    more_sessions: bool
    sign_ins: list[SignIn]
    remembered_answers: list[RememberedAnswer]


@route(
    "GET",
    f"{V1}/users/{{user_id:str}}/personal-data",
    who=SIGNED_IN,
    summary="Show all that is held about a person",
    tag="Personal data",
    refusals=["NOT_FOUND", "UNAVAILABLE", "VIEW_BEHIND"],
    operation=operation([*CONSISTENCY], [POSITION]),
)
async def show_personal_data(
    request: ApiRequest,
    user_id: UserId,
    views: NamedDependency[Views],
    personal_data: NamedDependency[PersonalData],
    trail: NamedDependency[Trail],
) -> Answer[Success[PersonalDataView]]:
    """Show it to the person, and to administrators, who are recorded."""
    is_own = user_id == request.caller.user_id
    if not is_own and request.caller.role != "admin":
        raise Forbidden if request.caller.is_staff else NotFound
    row, position = await views.one(users.PROJECTION, users.USERS, (user_id,))
    if row is None:
        raise NotFound
    held = await personal_data.about(user_id)
    found, more = await orders_of(views, user_id)
    view = PersonalDataView(
        account=user_view(row),
        history=held.history,
        orders=found,
        more_orders=more,
        sessions=held.sessions,
        more_sessions=held.more_sessions,
        sign_ins=held.sign_ins,
        remembered_answers=held.answers,
    )
    if not is_own:
        shown = len(held.history) + len(found) + len(held.sessions) + len(held.sign_ins)
        await trail.note(access(request, "personal_data", subject=str(user_id)), shown)
    body = Success(data=view, meta=meta(request.context.request_id))
    return Answer(body, headers=[position_header(position)])


async def orders_of(views: Views, user_id: UUID) -> tuple[list[OrderView], bool]:
    """Return the orders of a user as staff see them, and whether there are more."""
    found: list[OrderView] = []
    filters: dict[str, Any] = {"userId": user_id}
    while len(found) < MOST_ORDERS:
        wanted = Request(
            filters=filters, sort_by="placedAt", descending=True, limit=PAGE, offset=len(found)
        )
        page = await views.list(orders.LISTING, wanted)
        found += [order_view(row, for_staff=True) for row in page.rows]
        if len(page.rows) < PAGE:
            return found, False
    return found, True


HANDLERS = [show_personal_data]
