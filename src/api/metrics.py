"""Metrics for Prometheus: for this machine alone, or for whoever has the token of the settings."""

import asyncio
import hmac
from collections.abc import Callable
from ipaddress import ip_address

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from api.errors import NotSignedIn
from api.guards import ANYONE
from api.request import ApiRequest
from api.request_context import Context
from api.routes import route

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
SHOWN = ResponseSpec(
    str, generate_examples=False, description="All metrics.", media_type="text/plain"
)
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


class MetricsAreLocal(NotSignedIn):
    """Somebody from elsewhere asks, without the token."""

    sentence = "Metrics are for this machine, or need the token of DAYBOOK_METRICS_TOKEN."


def metrics(rendered: Callable[[], bytes], token: str | None) -> HTTPRouteHandler:
    """Return the route of the metrics; `rendered` is called in a thread."""

    @route(
        "GET",
        "/metrics",
        who=ANYONE,
        summary="Metrics for Prometheus",
        tag="Operations",
        refusals=["UNAUTHENTICATED"],
        credentials=False,
        answers={200: SHOWN},
    )
    async def show_metrics(request: ApiRequest) -> Response[bytes]:
        """Show what Prometheus scrapes, in its text format."""
        if not (is_local(request.context) or has_token(request.context, token)):
            raise MetricsAreLocal
        text = await asyncio.to_thread(rendered)
        return Response(text, media_type=CONTENT_TYPE)

    return show_metrics


def is_local(context: Context) -> bool:
    """Tell whether this machine asks, and not a proxy on it for somebody else."""
    if any(name in context.headers for name in FORWARDED):
        return False
    try:
        return ip_address(context.address).is_loopback
    except ValueError:
        return False


def has_token(context: Context, token: str | None) -> bool:
    """Tell whether the request has the token, if there is one."""
    given = context.headers.get(b"authorization", b"")
    return token is not None and hmac.compare_digest(given, b"Bearer " + token.encode())
