"""Moving windows: exact whoever asks at once, in Redis and in this process."""

import asyncio
import socket
import time
from uuid import uuid4

import pytest
import redis as sync_redis

from api import limiter as module
from api.limiter import Limit, Limiter
from api.windows import OwnWindows, RedisWindows
from tests.event_store.asynchronous import on_a_loop

NOWHERE = "redis://127.0.0.1:1/0"


@on_a_loop
async def test_one_call_counts_many_keys_each_in_its_order(redis_url: str) -> None:
    windows = RedisWindows(redis_url, 2, 60)
    one, other = uuid4().hex, uuid4().hex
    found = await windows.use([one, other, one, one, other])
    assert [verdict.allowed for verdict in found] == [True, True, True, False, True]
    assert [verdict.remaining for verdict in found] == [1, 1, 0, 0, 0]
    assert all(59 < verdict.resets - time.monotonic() <= 60 for verdict in found)
    await windows.close()


@on_a_loop
async def test_four_processes_let_exactly_the_limit_through(redis_url: str) -> None:
    key = uuid4().hex
    processes = [Limiter(redis_url, Limit(100, 900)) for _ in range(4)]
    asked = [limiter.use(key) for _ in range(125) for limiter in processes]
    found = await asyncio.gather(*asked)
    assert sum(verdict.allowed for verdict in found) == 100
    assert sorted(v.remaining for v in found if v.allowed) == list(range(100))
    await asyncio.gather(*(limiter.close() for limiter in processes))


@on_a_loop
async def test_what_is_left_never_grows_until_the_window_moves(redis_url: str) -> None:
    limiter, key = Limiter(redis_url, Limit(3, 1)), uuid4().hex
    began = time.monotonic()
    left = [(await limiter.use(key)).remaining for _ in range(4)]
    assert left == [2, 1, 0, 0]
    refused = await limiter.use(key)
    assert not refused.allowed
    await asyncio.sleep(refused.resets - time.monotonic() + 0.01)
    assert (await limiter.use(key)).allowed
    assert time.monotonic() - began > 1
    await limiter.close()


@on_a_loop
async def test_requests_that_come_together_go_together(redis_url: str) -> None:
    limiter = Limiter(redis_url, Limit(10, 60))
    sent: list[int] = []
    use = limiter._shared.use

    async def counted(keys: list[str]) -> object:
        sent.append(len(keys))
        return await use(keys)

    limiter._shared.use = counted
    await asyncio.gather(*(limiter.use(uuid4().hex) for _ in range(500)))
    assert sum(sent) == 500
    assert len(sent) <= 3
    await limiter.close()


@on_a_loop
async def test_a_refused_key_does_not_trouble_redis_again(redis_url: str) -> None:
    limiter, key = Limiter(redis_url, Limit(1, 60)), uuid4().hex
    assert (await limiter.use(key)).allowed
    assert not (await limiter.use(key)).allowed
    await limiter._shared.close()
    limiter._shared = RedisWindows(NOWHERE, 1, 60)
    assert not (await limiter.use(key)).allowed
    assert limiter._alone_until < 0  # it was not asked
    await limiter.close()


@on_a_loop
async def test_without_redis_this_process_counts_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    warned: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda event, **_: warned.append(event))
    limiter = Limiter(NOWHERE, Limit(3, 60), told.append)
    began = time.monotonic()
    found = [(await limiter.use("key")).allowed for _ in range(5)]
    assert found == [True, True, True, False, False]
    assert told == ["fallback"] * 5
    assert warned == ["redis_down"]
    assert time.monotonic() - began < 1
    await limiter.close()


@on_a_loop
async def test_a_redis_that_says_nothing_is_left_alone_for_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limiter = Limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", Limit(100, 60))
        await limiter.use("first")
        began = time.monotonic()
        await limiter.use("second")
        assert time.monotonic() - began < 0.15
        await limiter.close()


@on_a_loop
async def test_a_redis_that_says_nothing_keeps_one_request_waiting_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_LEAVE_REDIS_ALONE", 0.05)
    silent = socket.create_server(("127.0.0.1", 0))
    limiter = Limiter(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", Limit(100, 60))
    await limiter.use("first")
    assert limiter._pause == 0.05
    await asyncio.sleep(0.06)
    trying = asyncio.create_task(limiter.use("trying"))
    await asyncio.sleep(0)
    began = time.monotonic()
    await asyncio.gather(*(limiter.use(f"key-{number}") for number in range(50)))
    assert time.monotonic() - began < 0.1
    assert not trying.done()
    await trying
    assert limiter._pause == 0.1  # the longer it is away, the less often it is tried
    await limiter.close()
    silent.close()


@on_a_loop
async def test_redis_counts_again_once_it_is_back(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_LEAVE_REDIS_ALONE", 0.05)
    limiter, key = Limiter(NOWHERE, Limit(3, 60)), uuid4().hex
    await limiter.use(key)
    await limiter._shared.close()
    limiter._shared = RedisWindows(redis_url, 3, 60)
    await asyncio.sleep(0.06)
    await limiter.use(key)
    with sync_redis.Redis.from_url(redis_url) as client:
        assert client.llen(f"daybook:limit:{key}") == 1
    await limiter.close()


@on_a_loop
async def test_a_flushed_redis_loads_the_script_again(redis_url: str) -> None:
    windows, key = RedisWindows(redis_url, 2, 60), uuid4().hex
    await windows.use([key])
    with sync_redis.Redis.from_url(redis_url) as client:
        client.script_flush()
    assert (await windows.use([key]))[0].remaining == 0
    await windows.close()


def test_windows_of_a_process_forget_the_least_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.windows.MOST_KEYS", 2)
    windows = OwnWindows(1, 60)
    for key in ("a", "b", "c"):
        assert windows.use(key).allowed
    assert not windows.use("c").allowed
    assert windows.use("a").allowed
