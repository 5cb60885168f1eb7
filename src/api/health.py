"""Health for those who operate Daybook: is the process alive, can it do its work."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
import structlog
from litestar.handlers import HTTPRouteHandler

from api.envelope import Answer, Failure, Success, meta
from api.errors import failure
from api.guards import ANYONE
from api.request import ApiRequest
from api.routes import route
from domain.refusal import Detail

CHECK_SECONDS = 2.0
TAG = "Operations"

Check = Callable[[], Awaitable[str | None]]
Report = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(msgspec.Struct, frozen=True):
    """The process can do its work; `details` is what operators may want to know besides."""

    details: dict[str, object]
    status: Literal["ready"] = "ready"


def health(checks: Mapping[str, Check], reports: Mapping[str, Report]) -> list[HTTPRouteHandler]:
    """Return the health routes.

    A check returns why the process is not ready (None: it is); a report returns a detail that does
    not decide. Both have two seconds; what a failing one raised goes to the log only.
    """

    @route(
        "GET",
        "/health/live",
        who=ANYONE,
        summary="Is the process alive?",
        tag=TAG,
        credentials=False,
    )
    async def health_live(request: ApiRequest) -> Answer[Success[Live]]:
        """Answer 200 as long as the process answers at all."""
        return Answer(Success(data=Live(), meta=meta(request.context.request_id)))

    @route(
        "GET",
        "/health/ready",
        who=ANYONE,
        summary="Can the process do its work?",
        tag=TAG,
        refusals=["UNAVAILABLE"],
        credentials=False,
    )
    async def health_ready(request: ApiRequest) -> Answer[Success[Ready]] | Answer[Failure]:
        """Answer 503 with the reasons while something that is needed is missing."""
        reasons = await gathered({name: reason_of(name, check) for name, check in checks.items()})
        wrong = tuple(Detail(name, str(why)) for name, why in reasons.items() if why is not None)
        if wrong:
            return failure(
                request, "UNAVAILABLE", "Not ready.", wrong, headers=[(b"retry-after", b"1")]
            )
        details = await gathered({name: detail_of(name, tell) for name, tell in reports.items()})
        return Answer(Success(data=Ready(details), meta=meta(request.context.request_id)))

    return [health_live, health_ready]


async def gathered(questions: Mapping[str, Awaitable[object]]) -> dict[str, object]:
    """Ask everything at once."""
    return dict(zip(questions, await asyncio.gather(*questions.values()), strict=True))


async def reason_of(name: str, check: Check) -> object:
    """Return why a check fails, None if it does not."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the process is not ready
        log.warning("check_failed", check=name, error=repr(error))
        return "There is no answer."


async def detail_of(name: str, report: Report) -> object:
    """Return what a report says, or that it says nothing."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await report()
    except Exception as error:  # noqa: BLE001 - a detail that is missing decides nothing
        log.warning("report_failed", report=name, error=repr(error))
        return "unknown"
