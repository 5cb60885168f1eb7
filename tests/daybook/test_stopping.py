"""An API process that is told to stop under load: no longer ready, and what it took is answered."""

import asyncio
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from daybook.readiness import Stopping
from tests.api.conftest import PASSWORD, create_admin
from tests.daybook.test_live_server import serving
from tests.event_store.given import rows

CLIENTS = 12
NOTICED_SECONDS = 0.5
TAKEN_SECONDS = 0.1  # so long after it was sent a request has been read
REGISTERED = "select count(*) from events where command = 'RegisterUser'"


def register(base: str, number: int, told: list[float], answers: Counter[object]) -> None:
    """Register people over one connection until the server takes no more of them."""
    sent = float("inf")

    def note(event: str, _: object) -> None:
        nonlocal sent
        if event == "http11.send_request_body.complete":
            sent = time.monotonic()

    with httpx.Client(base_url=base, timeout=20) as client:
        for attempt in range(10_000):
            sent = float("inf")
            body = {"email": f"{number}-{attempt}@example.com", "password": PASSWORD, "name": "Ada"}
            try:
                answer = client.post("/api/v1/users", json=body, extensions={"trace": note})
            except httpx.HTTPError as error:
                # A request that met the end of an idle connection was not taken.
                taken = sent + TAKEN_SECONDS < min(told, default=time.monotonic())
                answers["cut" if taken else type(error).__name__] += 1
                return
            answers[answer.status_code] += 1


def test_told_to_stop_under_load_it_is_not_ready_and_answers_what_it_took(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """F3: registrations take some tenths of a second each, so many are under way."""
    asyncio.run(create_admin(database_url))
    answers: Counter[object] = Counter()
    told: list[float] = []
    with serving(environment, tmp_path / "log") as server:
        base = f"http://127.0.0.1:{server.port}"

        people = [
            threading.Thread(target=register, args=[base, n, told, answers]) for n in range(CLIENTS)
        ]
        for one in people:
            one.start()
        with httpx.Client(base_url=base, timeout=20) as balancer:
            while answers[201] < CLIENTS:
                assert balancer.get("/health/ready").status_code == 200
            told.append(time.monotonic())
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            ready = []
            while server.process.poll() is None and time.monotonic() < began + 15:
                try:
                    answer = balancer.get("/health/ready")
                    ready.append((time.monotonic() - began, answer.status_code))
                except httpx.HTTPError:  # it takes no connections any more
                    ready.append((time.monotonic() - began, 0))
                time.sleep(0.01)
        assert server.process.wait(10) == 0
        seconds = time.monotonic() - began
        for one in people:
            one.join()
    assert [one for at, one in ready if one == 200 and at > NOTICED_SECONDS] == []
    assert {one for _, one in ready} & {0, 503}  # 503 while connections are taken, none after
    assert set(answers) <= {201, "ConnectError", "RemoteProtocolError", "ReadError"}
    assert rows(database_url, REGISTERED)[0][0] == answers[201]
    assert seconds < 10


def test_who_is_told_to_stop_says_so() -> None:
    """As a server has it: with a handler of its own, which is called all the same."""
    called: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: called.append(number))

    async def told() -> list[str | None]:
        stopping = Stopping()
        async with stopping.heard():
            said = [await stopping.check()]
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0)
            return [*said, await stopping.check()]

    try:
        assert asyncio.run(told()) == [None, "It was told to stop."]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert called == [signal.SIGTERM]
