"""Somebody of each role to ask as, who signs in anew when a request has ended the session."""

import re
from threading import Lock
from uuid import uuid4

import httpx
from requests import PreparedRequest, Response
from requests.auth import AuthBase

from tests.stories.running import ADMIN_EMAIL, ADMIN_PASSWORD, Running, data_of

ROLES = ("admin", "staff", "auditor", "customer", "nobody")
PASSWORD = "correct horse battery"
GOOD_KEY = re.compile(r"[!-~]([ -~]{0,238}[!-~])?")
BUYERS = {"customer", "staff", "admin"}
UNAUTHENTICATED, ACCEPTED = 401, 202
# What is in the log is waited for; what is not will not come.
LONG, AT_ONCE = "wait=10", "wait=0"


class Asker(AuthBase):
    """Signs requests as one role, and lets views see what commands of the same run have done.

    Requests that are made up may close the account they are asked with, or end its session; what
    they have appended is in no view yet when they look for it.
    """

    def __init__(self, daybook: Running, role: str) -> None:
        self._daybook, self._role = daybook, role
        self._root = f"http://127.0.0.1:{daybook.port}/api/v1"
        self._position = self._keys = 0
        self._lock = Lock()
        self._token = self._signed_in()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request, whatever credentials were made up for it."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            request.register_hook("response", self._renew)
        if request.method in {"GET", "HEAD"}:
            request.headers.setdefault("Daybook-Min-Position", str(self._position))
        if position := request.headers.get("Daybook-Min-Position"):
            request.headers["Prefer"] = LONG if int_of(position) <= self._position else AT_ONCE
        if key := request.headers.get("Idempotency-Key"):
            request.headers["Idempotency-Key"] = self._fresh(key)
        request.register_hook("response", self._learn)
        return request

    def _fresh(self, key: str | bytes) -> str | bytes:
        """Return a good key with something behind it that makes it new; a bad one as it is."""
        text = key if isinstance(key, str) else key.decode("latin-1")
        self._keys += 1
        return f"{text}-{self._keys}" if GOOD_KEY.fullmatch(text) else key

    def _learn(self, answer: Response, **_: object) -> None:
        """Remember how far the log has come, which commands say; let no view stay paused."""
        position = answer.headers.get("Daybook-Position")
        if position and answer.request.method not in {"GET", "HEAD"}:
            self._position = max(self._position, int(position))
        if answer.status_code == ACCEPTED and str(answer.url).endswith("/pause"):
            resume = str(answer.url).removesuffix("pause") + "resume"
            asked = {"reason": "others look at it too"}
            signed = {"Authorization": f"Bearer {self._token}"}
            httpx.post(resume, json=asked, headers=signed, timeout=30)

    def _renew(self, answer: Response, **_: object) -> None:
        """Sign in again when the session has ended."""
        if answer.status_code != UNAUTHENTICATED:
            return
        with self._lock:
            signed = {"Authorization": f"Bearer {self._token}"}
            me = httpx.get(f"{self._root}/users/me", headers=signed, timeout=30)
            if me.status_code == UNAUTHENTICATED:
                self._token = self._signed_in()

    def _signed_in(self) -> str:
        """Return the access token of somebody new in this role; empty for nobody."""
        if self._role == "nobody":
            return ""
        email = f"{self._role}-{uuid4().hex[:12]}@example.com"
        if self._role == "admin":
            return token(self._root, administrator(self._daybook), ADMIN_PASSWORD)
        body = {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}
        user = data_of(httpx.post(f"{self._root}/users", json=body, timeout=30))["id"]
        if self._role != "customer":
            keeper = token(self._root, administrator(self._daybook), ADMIN_PASSWORD)
            answer = httpx.put(
                f"{self._root}/users/{user}/role",
                json={"role": self._role},
                headers={"Authorization": f"Bearer {keeper}"},
                timeout=30,
            )
            assert answer.is_success, answer.text
        return token(self._root, email, PASSWORD)


def int_of(text: str | bytes | None) -> int:
    """Return a whole number, 0 for what is none."""
    return int(text) if text and str(text).isdecimal() else 0


def administrator(daybook: Running) -> str:
    """Return the address of an administrator whom nobody can have closed yet."""
    email = f"{uuid4().hex[:12]}-{ADMIN_EMAIL}"
    made = daybook.run("users", "create-admin", "--email", email)
    assert made.returncode == 0, made.stderr
    return email


def token(root: str, email: str, password: str) -> str:
    """Return an access token."""
    credentials = {"email": email, "password": password}
    answer = httpx.post(f"{root}/auth/login", json=credentials, timeout=30)
    return str(data_of(answer)["accessToken"])
