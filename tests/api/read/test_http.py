"""RFC 9110 over every route of both versions: HEAD, OPTIONS, Allow, conditions, media types.

What is asked comes from the table of routes and from the documents, so a new route is asked too.
"""

import gzip
import re
from collections import defaultdict
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api import cors
from tests.api.conftest import Client, Json, Person, list_product, place_order, refused
from tests.api.permissions import OUTSIDE, ROUTES
from tests.api.read.conftest import Post

METHODS: defaultdict[str, set[str]] = defaultdict(set)
for method, path in ROUTES.keys() | OUTSIDE.keys():
    METHODS[path].add(method)
del METHODS["/metrics"]  # served beside what is tested here: tests/daybook/test_metrics.py
PATHS = sorted(METHODS)
STREAMS = {"/api/v1/feed", "/api/v1/orders/{order_id:str}/events"}
READ = [path for path in PATHS if "GET" in METHODS[path] and path not in STREAMS]
COMMANDS = sorted(
    (method, path) for path in PATHS for method in METHODS[path] - {"GET"} if "/v1/" in path
)
VERSIONED = sorted(
    path for path in READ if re.search(r"/(users|orders|products)/(\{\w+:str\}|me)$", path)
)
QUERIES = {
    "/reports/sales": "?groupBy=day",
    "/proofs/inclusion": "?position=1",
    "/proofs/consistency": "?first=1&second=1",
}
OTHERS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW")
# Of these an answer is another each time: they tell of the present, or of this question too.
PRESENT = re.compile("/(accesses|sign-ins|reactions|projections)")


@pytest.fixture(scope="module")
def places(customer: Person, staff: Person, post: Post) -> dict[str, str]:
    """Give something that is there for every name in a path."""
    product = list_product(staff)
    order = place_order(customer, product)
    post()
    return {
        "user_id": customer.id,
        "product_id": product,
        "order_id": order,
        "stream_id": order,
        "projection": "orders",
        "reaction": "welcome_mail",
        "operation_id": str(uuid4()),
        "rebuild_id": "1",
        "position": "1",
    }


@pytest.fixture(scope="module")
def described(client: Client) -> Json:
    """Give what both documents say of every path."""
    return {
        path: methods
        for document in ("/openapi.json", "/openapi-v2.json")
        for path, methods in client.get(document).json()["paths"].items()
    }


def filled(path: str, places: dict[str, str]) -> str:
    """Return a path to something that is there, with the parameters that it needs."""
    for name, place in places.items():
        path = re.sub(rf"{{{name}:\w+}}", place, path)
    if "/reactions/" in path:
        path = path.replace("/operations/" + places["operation_id"], "/operations/1")
    return path + next((asked for end, asked in QUERIES.items() if path.endswith(end)), "")


def ask(
    person: Person, method: str, path: str, headers: Json | None = None, **more: Any
) -> httpx.Response:
    """Ask for a path of any version, signed."""
    signed = {"Authorization": f"Bearer {person.access_token}", **(headers or {})}
    return person.client.request(method, path, headers=signed, **more)


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_its_body(admin: Person, places: dict[str, str], path: str) -> None:
    where = filled(path, places)
    get, head = ask(admin, "GET", where), ask(admin, "HEAD", where)
    assert head.status_code == get.status_code
    assert head.content == b""
    changing = {"x-request-id", *(["content-length"] if PRESENT.search(path) else [])}
    for name in get.headers.keys() - changing:
        assert head.headers[name] == get.headers[name]
    assert head.headers.keys() == get.headers.keys()


@pytest.mark.parametrize("path", PATHS)
def test_options_and_every_other_method_name_those_that_there_are(
    admin: Person, places: dict[str, str], path: str
) -> None:
    where = filled(path, places)
    allowed = METHODS[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in METHODS[path] else set())
    answer = ask(admin, "OPTIONS", where)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == ", ".join(sorted(allowed))
    if "HEAD" not in allowed:
        head = ask(admin, "HEAD", where)
        assert (head.status_code, head.content) == (405, b"")
    for method in set(OTHERS) - allowed:
        answer = ask(admin, method, where)
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == ", ".join(sorted(allowed)), method


def test_what_has_a_version_is_known(described: Json) -> None:
    shown = {
        path
        for path, methods in described.items()
        if "ETag" in methods.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    }
    assert shown == {path.replace(":str", "") for path in VERSIONED}


@pytest.mark.parametrize("path", VERSIONED)
def test_a_version_spares_or_refuses_an_answer(
    admin: Person, places: dict[str, str], path: str
) -> None:
    where = filled(path, places)
    tag = ask(admin, "GET", where).headers["etag"]

    def status(method: str = "GET", **given: str) -> int:
        headers = {name.replace("_", "-"): one for name, one in given.items()}
        answer = ask(admin, method, where, headers)
        if answer.status_code == 304:
            assert answer.content == b""
            assert answer.headers["etag"] == tag
            assert answer.headers.keys() >= {"daybook-position", "cache-control"}
            assert "content-type" not in answer.headers
        return answer.status_code

    assert status(If_None_Match=tag) == status(If_None_Match=f"W/{tag}") == 304
    assert status(If_None_Match="*") == status("HEAD", If_None_Match=tag) == 304
    assert status(If_None_Match='"other"') == status(If_Match=tag) == status(If_Match="*") == 200
    assert status(If_Match='"other"') == status(If_Match=f"W/{tag}") == 412
    assert status("HEAD", If_Match='"other"') == 412
    assert status(If_Match='"other"', If_None_Match=tag) == 412  # RFC 9110, 13.2.2
    assert status(If_Match=tag, If_None_Match=tag) == 304
    assert status(If_None_Match=tag.strip('"')) == status(If_Match=tag.strip('"')) == 400


@pytest.mark.parametrize("path", [path for path in VERSIONED if "{" in path])
def test_what_a_view_does_not_know_is_told_with_how_far_it_has_come(
    admin: Person, path: str
) -> None:
    answer = ask(admin, "GET", re.sub(r"{\w+:str}", str(uuid4()), path))
    refused(answer, 404, "NOT_FOUND")
    assert int(answer.headers["daybook-position"]) > 0


@pytest.mark.parametrize("path", READ)
def test_a_view_that_is_behind_tells_how_far_it_has_come(
    admin: Person, places: dict[str, str], described: Json, path: str
) -> None:
    headers = {"Daybook-Min-Position": "999999999", "Prefer": "wait=0"}
    answer = ask(admin, "GET", filled(path, places), headers)
    shown = described.get(re.sub(r":\w+", "", path), {}).get("get", {})
    if "Daybook-Min-Position" in {one["name"] for one in shown.get("parameters", ())}:
        refused(answer, 503, "VIEW_BEHIND")
        assert int(answer.headers["daybook-position"]) > 0
    else:
        assert answer.status_code != 503


@pytest.mark.parametrize(("method", "path"), COMMANDS)
def test_a_command_holds_for_the_version_that_was_wanted(
    admin: Person, places: dict[str, str], described: Json, method: str, path: str
) -> None:
    operation = described[re.sub(r":\w+", "", path)][method.lower()]
    takes = {one["name"] for one in operation.get("parameters", ())}
    assert ("If-Match" in takes) == ("412" in operation["responses"])
    if "If-Match" not in takes:
        assert "/auth/" in path
        return
    body = {"json": example(operation)} if "requestBody" in operation else {}
    where = filled(path, places)
    answer = ask(admin, method, where, {"If-Match": '"987654321"'}, **body)
    if "/reactions/{reaction:str}/failures/{" in path:
        refused(answer, 404, "NOT_FOUND")  # no event has failed
        return
    if path.endswith("/orders"):
        refused(answer, 422, "VALIDATION_ERROR")  # there is no such product
        return
    if path.endswith("/password"):
        refused(answer, 403, "FORBIDDEN")  # one's own alone
        return
    refused(answer, 412, "PRECONDITION_FAILED")
    refused(ask(admin, method, where, {"If-Match": "1"}, **body), 400, "MALFORMED_REQUEST")


def example(operation: Json) -> Any:
    """Return the example of a body."""
    content: Json = operation["requestBody"]["content"]["application/json"]
    return content["examples"]["example"]["value"]


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "",
    ],
)
def test_what_is_not_json_is_refused_by_every_command(
    admin: Person, places: dict[str, str], described: Json, media_type: str
) -> None:
    count = 0
    for path, method, body in bodies(described):
        headers = {"Content-Type": media_type}
        answer = ask(admin, method, filled(path, places), headers, content=body)
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
        count += 1
    assert count > 25


def test_a_body_is_not_decompressed(admin: Person, places: dict[str, str], described: Json) -> None:
    for path, method, body in bodies(described):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        packed = gzip.compress(body)
        answer = ask(admin, method, filled(path, places), headers, content=packed)
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "media_type", ["application/json", "APPLICATION/JSON;charset=UTF-8", "application/x+json"]
)
def test_json_is_taken_however_it_is_named(admin: Person, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    answer = ask(admin, "POST", "/api/v1/products", headers, content=b"{}")
    refused(answer, 422, "VALIDATION_ERROR")


def bodies(described: Json) -> list[tuple[str, str, bytes]]:
    """Return every operation that takes a body, and a body that is good in another form."""
    return [
        (re.sub(r"{(\w+)}", r"{\1:str}", path), method.upper(), b'{"reason": "none"}')
        for path, methods in described.items()
        for method, operation in methods.items()
        if "requestBody" in operation
    ]


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/json;q=0",
        "application/xml;q=1.0, */*;q=0",
        "image/*;q=0.8, application/json;q=0.2",
        "nonsense",
    ],
)
@pytest.mark.parametrize("path", [path for path in READ if path.startswith("/api/")])
def test_whoever_accepts_something_else_gets_what_there_is(
    admin: Person, places: dict[str, str], path: str, accept: str
) -> None:
    """RFC 9110, 12.5.1 lets a server disregard Accept: there is one form, and no 406."""
    where = filled(path, places)
    as_asked, plain = ask(admin, "GET", where, {"Accept": accept}), ask(admin, "GET", where)
    assert as_asked.status_code == plain.status_code != 406
    assert as_asked.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("coding", ["gzip", "br;q=1, *;q=0", "identity;q=0"])
def test_an_answer_is_never_packed(client: Client, coding: str) -> None:
    """A secret and what a stranger writes in one packed answer tell of each other (BREACH)."""
    answer = client.get("/api/v1/products", headers={"Accept-Encoding": coding})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_a_cache_between_keeps_nothing_of_somebody_and_asks_again_for_anybody(
    client: Client, admin: Person, places: dict[str, str], path: str
) -> None:
    where = filled(path, places)
    mine, anybodys = ask(admin, "PROPFIND", where), client.request("PROPFIND", where)
    assert mine.headers["cache-control"] == "no-store"
    assert anybodys.headers["cache-control"] == "no-cache"
    for answer in (mine, anybodys):
        assert "accept" in answer.headers["vary"]


def test_web_pages_may_send_and_read_every_header_that_is_documented(described: Json) -> None:
    sent, answered = set[str](), set[str]()
    for methods in described.values():
        for operation in methods.values():
            parameters = operation.get("parameters", ())
            sent |= {one["name"].lower() for one in parameters if one["in"] == "header"}
            for answer in operation["responses"].values():
                answered |= {name.lower() for name in answer.get("headers", ())}
    assert sent <= set(cors.ASKED.decode().split(", "))
    assert answered <= set(cors.EXPOSED.decode().split(", "))
