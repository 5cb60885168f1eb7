"""Users over HTTP: the list, one's own account, any account for those who work here."""

from datetime import UTC, datetime
from typing import Annotated, get_args
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import PathParameter

from api.guards import ADMIN, SIGNED_IN, STAFF, STAFF_OR_AUDITOR, check
from api.links import FIRST, ID, links_to
from api.read import as_of
from api.read.access import visible_user
from api.read.answers import ViewAnswer, listed, single
from api.read.lists import ListQuery, fields_value, given_in, read_values
from api.read.values import choice, text
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V1
from domain import user
from event_store.trail import Trail
from projections.pasts.lists import Pasts
from projections.reading.views import Views
from projections.users import (
    LISTING,
    PROJECTION,
    USERS,
    AdminUserView,
    UserView,
    admin_view,
    user_view,
)

TAG = "Users"
UserId = Annotated[UUID, PathParameter(description="The user's id.")]

OF_FIRST = links_to("showUser", "listOrdersOfUser", "showPersonalData", user_id=FIRST)
OF_USER = links_to(
    "listOrdersOfUser", "showPersonalData", "changeUserDetails", "createOrderOfUser", user_id=ID
)

FILTERS = {
    "email": text("Only users whose e-mail address has this in it, in any case."),
    "role": choice("Only users in this role.", get_args(user.Role)),
    "status": choice("Only accounts in this state.", get_args(user.Status)),
}
LIST = ListQuery(LISTING, UserView, FILTERS)
ADMIN_LIST = ListQuery(LISTING, AdminUserView, FILTERS)
ONE = {"fields": fields_value(UserView)}
ONE_OF_ALL = {**ONE, **as_of.VALUES}


@list_route(
    f"{V1}/users",
    UserView,
    LIST.values,
    who=STAFF_OR_AUDITOR,
    summary="List users",
    tag=TAG,
    succeeded=True,
    links=OF_FIRST,
)
async def list_users(
    request: ApiRequest, views: NamedDependency[Views], pasts: NamedDependency[Pasts]
) -> ViewAnswer:
    """List accounts, closed ones too; to auditors only as they were."""
    asked = LIST.read(given_in(request))
    if asked.moment:
        return await as_of.listed_as_of(
            request, pasts, LISTING, asked, asked.moment, lambda row, _: user_view(row)
        )
    check(STAFF, request.context.caller)
    page = await views.list(LISTING, asked.wanted)
    return listed(request, asked, page, [user_view(row) for row in page.rows])


@list_route(
    f"{V1}/admin/users",
    AdminUserView,
    ADMIN_LIST.values,
    who=ADMIN,
    summary="List users with what they do",
    tag=TAG,
    succeeded=True,
    links=OF_FIRST,
)
async def list_users_for_admin(
    request: ApiRequest, views: NamedDependency[Views], pasts: NamedDependency[Pasts]
) -> ViewAnswer:
    """List accounts with their last login, open sessions and number of orders."""
    asked = ADMIN_LIST.read(given_in(request))
    if asked.moment:
        return await as_of.listed_as_of(request, pasts, LISTING, asked, asked.moment, admin_view)
    page = await views.list(LISTING, asked.wanted)
    now = datetime.now(UTC)
    return listed(request, asked, page, [admin_view(row, now) for row in page.rows])


@single_route(
    f"{V1}/users/me",
    UserView,
    ONE,
    who=SIGNED_IN,
    summary="Show one's own account",
    tag=TAG,
    succeeded=True,
    links=OF_USER,
)
async def show_me(request: ApiRequest, views: NamedDependency[Views]) -> ViewAnswer:
    """Show the account that the access token belongs to."""
    return await shown(request, views, request.caller.user_id)


@single_route(
    f"{V1}/users/{{user_id:str}}",
    UserView,
    ONE_OF_ALL,
    who=SIGNED_IN,
    summary="Show a user",
    tag=TAG,
    succeeded=True,
    links=OF_USER,
)
async def show_user(
    request: ApiRequest,
    user_id: UserId,
    views: NamedDependency[Views],
    trail: NamedDependency[Trail],
) -> ViewAnswer:
    """Show one's own account, or any to those who work here."""
    if "asOf" in read_values(ONE_OF_ALL, given_in(request)):
        past = (PROJECTION, USERS, user_id, user_view)
        return await as_of.shown_as_of(request, trail, *past, ONE_OF_ALL)
    return await shown(request, views, user_id)


async def shown(request: ApiRequest, views: Views, user_id: UUID) -> ViewAnswer:
    """Answer with a user whom the caller may see."""
    fields = read_values(ONE_OF_ALL, given_in(request)).get("fields")
    row, position = await visible_user(views, request.caller, user_id)
    return single(request, user_view(row), fields, version=row["version"], position=position)


HANDLERS = [list_users, list_users_for_admin, show_me, show_user]
