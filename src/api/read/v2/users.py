"""Users in version 2: each with their orders in short."""

from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from uuid import UUID

import msgspec
from litestar.di import NamedDependency

from api.guards import ADMIN, SIGNED_IN, STAFF
from api.links import FIRST, ID, link_to_next, links_to
from api.read.access import visible_user
from api.read.answers import ViewAnswer, single
from api.read.cursors import Cursors
from api.read.lists import fields_value, given_in, read_values
from api.read.users import FILTERS, TAG, UserId
from api.read.v2.stretches import CursorQuery, stretched
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V2
from projections.reading.views import Views
from projections.users import LISTING, AdminUserV2View, UserV2View, admin_v2_view, user_v2_view

LIST = CursorQuery(LISTING, UserV2View, FILTERS)
ADMIN_LIST = CursorQuery(LISTING, AdminUserV2View, FILTERS)
OF_FIRST = links_to("showUserV2", "listOrdersOfUserV2", user_id=FIRST)
ONE = {"fields": fields_value(UserV2View)}


@list_route(
    f"{V2}/users",
    UserV2View,
    LIST.values,
    who=STAFF,
    summary="List users",
    tag=TAG,
    links={**OF_FIRST, **link_to_next("listUsersV2", LIST.values)},
)
async def list_users_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """List accounts, closed ones too, with their orders in short."""
    asked = LIST.read(given_in(request))
    return await stretched(request, views, cursors, LISTING, asked, user_v2_view)


@list_route(
    f"{V2}/admin/users",
    AdminUserV2View,
    ADMIN_LIST.values,
    who=ADMIN,
    summary="List users with what they do",
    tag=TAG,
    links={**OF_FIRST, **link_to_next("listUsersForAdminV2", ADMIN_LIST.values)},
)
async def list_users_for_admin_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """List accounts with their orders in short, last login and open sessions."""
    asked = ADMIN_LIST.read(given_in(request))
    show = partial(admin_v2_view, now=datetime.now(UTC))
    return await stretched(request, views, cursors, LISTING, asked, show)


@single_route(
    f"{V2}/users/me",
    UserV2View,
    ONE,
    who=SIGNED_IN,
    summary="Show one's own account",
    tag=TAG,
    links=links_to("listOrdersOfUserV2", user_id=ID),
)
async def show_me_v2(request: ApiRequest, views: NamedDependency[Views]) -> ViewAnswer:
    """Show the account that the access token belongs to, with its orders in short."""
    return await shown(request, views, request.caller.user_id)


@single_route(
    f"{V2}/users/{{user_id:str}}",
    UserV2View,
    ONE,
    who=SIGNED_IN,
    summary="Show a user",
    tag=TAG,
    links=links_to("listOrdersOfUserV2", user_id=ID),
)
async def show_user_v2(
    request: ApiRequest, user_id: UserId, views: NamedDependency[Views]
) -> ViewAnswer:
    """Show one's own account, or any to those who work here, with its orders in short."""
    return await shown(request, views, user_id)


async def shown(request: ApiRequest, views: Views, user_id: UUID) -> ViewAnswer:
    """Answer with a user whom the caller may see."""
    fields = read_values(ONE, given_in(request)).get("fields")
    row, position = await visible_user(views, request.caller, user_id)
    view = user_v2_view(row)
    return single(request, view, fields, version=version_of(view), position=position)


def version_of(view: UserV2View) -> str:
    """Return the version of what is shown: that of the account, and what tells apart its orders."""
    orders = blake2b(msgspec.json.encode(view.order_summary), digest_size=6).hexdigest()
    return f"{view.version}-{orders}"


HANDLERS = [list_users_v2, list_users_for_admin_v2, show_me_v2, show_user_v2]
