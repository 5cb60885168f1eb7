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
UNAUTHENTICATED, ACCEPTED = 401, 202
KEEPERS: dict[int, str] = {}  # by the port of their Daybook
# What is in the log is waited for; what is not will not come.
LONG, AT_ONCE = "wait=10", "wait=0"


class Asker(AuthBase):
    """Signs requests as one role, and lets views see what commands of the same run have done.

    Requests that are made up may close the account they are asked with, or end its session; what
    they have appended is in no view yet when they look for it.
    """

    def __init__(self, daybook: Running, role: str) -> None:
        self._daybook, self._role = daybook, role
        self._position = self._keys = 0
        self._lock = Lock()
        self._token = signed_in(self._daybook, self._role)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request, whatever credentials were made up for it."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            request.register_hook("response", self._renew)
        if request.method in {"GET", "HEAD"}:
            request.headers.setdefault("Daybook-Min-Position", "0")
        if position := request.headers.get("Daybook-Min-Position"):
            known = int_of(position) <= self._position
            request.headers["Prefer"] = LONG if known else AT_ONCE
            if known and str(position).isdecimal():
                request.headers["Daybook-Min-Position"] = str(self._position)
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
            if not is_known(self._daybook, self._token):
                self._token = signed_in(self._daybook, self._role)


def signed_in(daybook: Running, role: str) -> str:
    """Return the access token of somebody new in a role; empty for nobody."""
    if role == "nobody":
        return ""
    email = f"{role}-{uuid4().hex[:12]}@example.com"
    body = {"email": email, "password": PASSWORD, "name": "Ada Lovelace"}
    user = data_of(httpx.post(f"{daybook.url}/users", json=body, timeout=30))["id"]
    if role != "customer":
        answer = httpx.put(
            f"{daybook.url}/users/{user}/role",
            json={"role": role},
            headers={"Authorization": f"Bearer {keeper(daybook)}"},
            timeout=30,
        )
        assert answer.is_success, answer.text
    return token(daybook.url, email, PASSWORD)


def keeper(daybook: Running) -> str:
    """Return the token of an administrator who only gives others their roles."""
    found = KEEPERS.get(daybook.port)
    if found is None or not is_known(daybook, found):
        email = f"{uuid4().hex[:12]}-{ADMIN_EMAIL}"
        made = daybook.run("users", "create-admin", "--email", email)
        assert made.returncode == 0, made.stderr
        found = KEEPERS[daybook.port] = token(daybook.url, email, ADMIN_PASSWORD)
    return found


def is_known(daybook: Running, found: str) -> bool:
    """Tell whether the session of a token lasts."""
    signed = {"Authorization": f"Bearer {found}"}
    return httpx.get(f"{daybook.url}/users/me", headers=signed, timeout=30).is_success


def int_of(text: str | bytes | None) -> int:
    """Return a whole number, 0 for what is none."""
    return int(text) if text and str(text).isdecimal() else 0


def token(root: str, email: str, password: str) -> str:
    """Return an access token."""
    credentials = {"email": email, "password": password}
    answer = httpx.post(f"{root}/auth/login", json=credentials, timeout=30)
    return str(data_of(answer)["accessToken"])
