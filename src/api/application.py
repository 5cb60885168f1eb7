"""The ASGI application: the routes that are given to it, and what all of them share."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, ExceptionHandlersMap

from api.addresses import Addresses
from api.admission import admission
from api.authentication import Authentication
from api.cors import Cors
from api.errors import HANDLERS, AnyRequest
from api.limiter import Limiter, Told
from api.openapi import documentation, openapi_config
from api.overload import Unburdened
from api.rate_limits import Limited
from api.request import LARGEST_BODY, ApiRequest
from api.request_context import InContext
from api.revocations import Revocations
from api.routes import options
from api.tokens import Tokens

DIRECT = Addresses()
Layer = Callable[[ASGIApp], ASGIApp]
NO_HANDLERS: ExceptionHandlersMap = MappingProxyType({})  # type: ignore[assignment]  # only read


def create_app(  # noqa: PLR0913 - the parts of an application, each by its name
    *,
    handlers: Sequence[HTTPRouteHandler],
    tokens: Tokens,
    revocations: Revocations,
    provided: Mapping[str, object],
    limiter: Limiter | None = None,
    addresses: Addresses = DIRECT,
    origins: Sequence[str] = (),
    docs: bool = True,
    told: Told = lambda _: None,
    around: Sequence[Layer] = (),
    lifespan: Sequence[AbstractAsyncContextManager[object]] = (),
    exception_handlers: ExceptionHandlersMap = NO_HANDLERS,
    version: str = "0",
) -> Litestar:
    """Build the application of one process.

    `provided` are the parts that handlers name as `NamedDependency`, such as `tools`, or what
    makes one for each request; `lifespan` is entered before the first request and left after the
    last one, in reverse order. Without a `limiter` requests are not limited; `told` hears of what
    it refuses. Web pages of `origins` may read the answers; `docs` shows what can be asked. The
    layers `around` see all that comes and goes, the last one first.
    """
    parts = {**provided, "tokens": tokens, "revocations": revocations}
    authentication = Authentication(tokens, revocations)
    served = [*handlers, *(documentation() if docs else ())]
    app = Litestar(
        [*options(served), *served],
        before_request=admission(authentication),
        dependencies={name: constant(part) for name, part in parts.items()},
        exception_handlers={**HANDLERS, **exception_handlers},
        lifespan=[*lifespan, revocations.following()],
        openapi_config=openapi_config(version),
        request_class=ApiRequest,
        request_max_body_size=LARGEST_BODY,
        debug=False,
        pdb_on_exception=False,
        logging_config=None,
    )
    # Outside of the router, so that its own errors have the headers too.
    inside = app.asgi_handler
    if limiter is not None:
        inside = Limited(inside, limiter, authentication, told)
        app.on_shutdown.append(limiter.close)
    if origins:
        inside = Cors(inside, origins)
    whole: ASGIApp = InContext(Unburdened(inside), addresses)
    for layer in around:
        whole = layer(whole)
    app.asgi_handler = whole
    return app


def constant(part: object) -> Provide:
    """Return the provider of a part that lives as long as the application, unless it is one."""
    if isinstance(part, Provide):
        return part

    def provide(request: AnyRequest) -> object:  # noqa: ARG001 - as `Handler` calls it
        return part

    return Provide(provide, sync_to_thread=False)
