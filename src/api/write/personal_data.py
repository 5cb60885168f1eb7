"""Forgetting a person over HTTP."""

from typing import Any
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import FromPath

from api.envelope import Answer
from api.guards import SIGNED_IN
from api.request import ApiRequest
from api.revocations import Revocations
from api.routes import V1, route
from api.write.intake import Intake
from api.write.receipts import check_no_body, gone
from commands.users.forget_user import ForgetUser, forget_user
from event_store.reading import Revocation


@route(
    "DELETE",
    f"{V1}/users/{{user_id:str}}/personal-data",
    who=SIGNED_IN,
    summary="Forget a person",
    tag="Personal data",
    status=204,
    refusals=["NOT_FOUND", "INVALID_STATE", "VERSION_CONFLICT", "PRECONDITION_FAILED"],
)
async def remove_personal_data(
    request: ApiRequest,
    user_id: FromPath[UUID],
    intake: NamedDependency[Intake],
    revocations: NamedDependency[Revocations],
    tombstones: NamedDependency[Any],
) -> Answer[None]:
    """Forget oneself, or anybody as an administrator, for good: there is no way back.

    The account is closed and its sessions end; orders and totals stay, without what tells of a
    person. Views show it within moments. Asking again changes nothing.
    """
    await check_no_body(request)
    receipt = await intake.take(request, forget_user, ForgetUser(user_id=user_id))
    # Before the answer: whoever was told that they are forgotten stays so, whatever dies now.
    await tombstones.add(user_id)
    revocations.learn([Revocation(receipt.position, "user.forgotten", user_id)])
    return gone(receipt)


HANDLERS = [remove_personal_data]
