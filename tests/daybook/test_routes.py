"""The shipped server: every route is in the table of who may call it, and none is careless."""

import re
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from api.graphql.routes import PAGES as EXPLORER_PAGES
from api.openapi import PAGES
from daybook.api import build
from daybook.services import Services
from daybook.settings import Settings
from tests.api.permissions import OUTSIDE, ROUTES


def handlers(app: Litestar) -> dict[tuple[str, str], HTTPRouteHandler]:
    found = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods - {"OPTIONS"}:
                found[str(method), route.path_format] = handler
    return found


def written(table: dict[tuple[str, str], set[str]]) -> set[tuple[str, str]]:
    return {(method, re.sub(r":\w+}", "}", path)) for method, path in table}


def test_every_route_of_the_shipped_server_says_who_may_call_it(shipped: Litestar) -> None:
    assert set(handlers(shipped)) == written(ROUTES) | written(OUTSIDE)


def test_the_table_is_what_the_routes_themselves_say(shipped: Litestar) -> None:
    table = {(method, re.sub(r":\w+}", "}", path)): who for (method, path), who in ROUTES.items()}
    for route, handler in handlers(shipped).items():
        if route in table:
            said = handler.opt["who"]
            everybody = {"anonymous", "customer", "staff", "auditor", "admin"}
            assert (everybody if said is None else set(said)) == table[route], route


def test_no_body_takes_a_field_that_it_does_not_know(shipped: Litestar) -> None:
    for route, handler in handlers(shipped).items():
        parameter = handler.parsed_fn_signature.parameters.get("data")
        if parameter is not None and route in written(ROUTES):
            for struct in structs_in(parameter.annotation):
                assert struct.__struct_config__.forbid_unknown_fields, (route, struct)


def structs_in(annotation: Any) -> list[Any]:
    """Return the struct of a body and all within it."""
    schema = msgspec.inspect.type_info(annotation)
    found, waiting = [], [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, msgspec.inspect.StructType):
            found.append(one.cls)
            waiting += [field.type for field in one.fields]
        elif isinstance(one, msgspec.inspect.UnionType):
            waiting += one.types
        elif isinstance(one, msgspec.inspect.ListType):
            waiting.append(one.item_type)
    return found


def test_nothing_is_debugged_in_public(shipped: Litestar) -> None:
    assert shipped.debug is False
    assert shipped.pdb_on_exception is False


def test_documents_can_be_left_out(shipped: Litestar, tmp_path: Path) -> None:
    nowhere = Services("postgresql://127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    silent = build("all", Settings(data_dir=tmp_path, docs="off"), nowhere)
    left_out = {path for _, path in handlers(shipped).keys() - handlers(silent).keys()}
    documents = {"/openapi.json", "/openapi-v2.json", *(path for path, *_ in PAGES)}
    assert left_out == documents | {path for path, *_ in EXPLORER_PAGES}
