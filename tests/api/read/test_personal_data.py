"""A person gets all that is held about them, and is forgotten when they ask."""

import psycopg

from domain.personal import FORGOTTEN
from tests.api.conftest import Client, Person, data_of, list_product, place_order, refused, register
from tests.api.read.conftest import Post


def mine(person: Person, whose: Person | None = None) -> str:
    return f"/users/{(whose or person).id}/personal-data"


def test_a_person_gets_everything(client: Client, staff: Person, post: Post) -> None:
    ada = register(client)
    ada.ask("PATCH", f"/users/{ada.id}", {"name": "Ada King"}, idempotency_key="rename-1")
    order = place_order(ada, list_product(staff))
    staff.ask("POST", f"/orders/{order}/notes", {"text": "She likes figures."})
    ada.ask("POST", f"/orders/{order}/cancellation", {"reason": "I married."})
    post()
    held = data_of(ada.ask("GET", mine(ada)))
    assert held["account"]["email"] == ada.email
    assert [(one["event"], one["data"].get("name")) for one in held["history"]] == [
        ("user.registered", "Ada Lovelace"),
        ("user.renamed", "Ada King"),
    ]
    assert all("password_hash" not in one["data"] for one in held["history"])
    [found] = held["orders"]
    assert found["id"] == order
    assert found["notes"][0]["text"] == "She likes figures."
    assert found["cancellation"]["reason"] == "I married."
    assert (held["moreOrders"], held["moreSessions"]) == (False, False)
    [session] = held["sessions"]
    assert (session["event"], session["data"]["user_id"]) == ("session.started", ada.id)
    assert session["data"].keys() == {"user_id", "user_version", "expires_at"}
    assert [one["key"] for one in held["rememberedAnswers"]] == ["rename-1"]
    assert "argon2" not in ada.ask("GET", mine(ada)).text


def test_only_the_person_and_administrators_get_it(
    client: Client, staff: Person, auditor: Person, admin: Person, post: Post
) -> None:
    ada, mallory = register(client), register(client)
    post()
    refused(mallory.ask("GET", mine(ada)), 404, "NOT_FOUND")
    refused(mallory.ask("DELETE", mine(ada)), 404, "NOT_FOUND")
    refused(staff.ask("GET", mine(ada)), 403, "FORBIDDEN")
    refused(staff.ask("DELETE", mine(ada)), 403, "FORBIDDEN")
    refused(auditor.ask("GET", mine(ada)), 404, "NOT_FOUND")
    refused(auditor.ask("DELETE", mine(ada)), 404, "NOT_FOUND")
    assert data_of(admin.ask("GET", mine(ada)))["account"]["id"] == ada.id


def test_who_is_forgotten_is_signed_out_and_shown_so(
    client: Client, admin: Person, post: Post, database_url: str
) -> None:
    ada = register(client)
    ada.ask("PATCH", f"/users/{ada.id}", {"name": "Ada King"}, idempotency_key="rename-2")
    answer = ada.ask("DELETE", mine(ada), idempotency_key="forget-me")
    assert answer.status_code == 204
    refused(ada.ask("GET", "/users/me"), 401, "UNAUTHENTICATED")
    refresh = {"refreshToken": ada.refresh_token}
    refused(client.post("/api/v1/auth/refresh", json=refresh), 401, "UNAUTHENTICATED")
    credentials = {"email": ada.email, "password": "correct horse"}
    refused(client.post("/api/v1/auth/login", json=credentials), 401, "INVALID_CREDENTIALS")
    post()
    shown = data_of(admin.ask("GET", f"/users/{ada.id}"))
    assert (shown["email"], shown["name"], shown["status"]) == (FORGOTTEN, FORGOTTEN, FORGOTTEN)
    found = admin.ask("GET", f"/users?email={ada.email}").json()
    assert found["pagination"]["total"] == 0
    listed = admin.ask("GET", "/users?status=forgotten").json()["data"]
    assert ada.id in [one["id"] for one in listed]
    held = data_of(admin.ask("GET", mine(admin, ada)))
    assert {one["data"].get("name") for one in held["history"]} <= {FORGOTTEN, None}
    with psycopg.connect(database_url) as connection:
        keys = connection.execute("select key from idempotency_keys where caller = %s", [ada.id])
        assert keys.fetchall() == [("forget-me",)]  # its answer is an id and a version
    assert register(client, ada.email).id != ada.id


def test_asking_again_changes_nothing(client: Client, admin: Person) -> None:
    ada = register(client)
    first = admin.ask("DELETE", mine(admin, ada))
    again = admin.ask("DELETE", mine(admin, ada))
    assert (first.status_code, again.status_code) == (204, 204)
    assert first.headers["etag"] == again.headers["etag"]
    nobody = "00000000-0000-7000-8000-000000000000"
    refused(admin.ask("DELETE", f"/users/{nobody}/personal-data"), 404, "NOT_FOUND")
    refused(admin.ask("GET", f"/users/{nobody}/personal-data"), 404, "NOT_FOUND")
