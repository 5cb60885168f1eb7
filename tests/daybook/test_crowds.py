"""Five hundred at once over few connections to Redis: all are counted, none finds them taken."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from daybook.api import build
from daybook.services import Services
from daybook.setting_values import RateLimit
from daybook.settings import Settings
from tests.event_store.given import keyring
from tests.projections.given import STORY, TEAPOT, append, post

CROWD, LIMIT = 500, 10_000


def test_five_hundred_at_once_share_the_connections_to_redis(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may keep Redis from answering in time, and then it is left alone for a while.
    monkeypatch.setattr("api.windows.PATIENCE_SECONDS", 5)
    monkeypatch.setattr("projections.reading.rows_in_redis.WAITING_SECONDS", 5)
    append(database_url, STORY)
    post(database_url)
    settings = Settings(
        jwt_secret="a-secret-of-more-than-thirty-two-bytes",
        cache="redis",
        rate_limit=RateLimit(LIMIT, timedelta(minutes=15)),
    )
    app = build("read", settings, Services(database_url, redis_url, keyring()))
    paths = [f"/api/v1/products/{TEAPOT if n % 2 else UUID(int=n)}" for n in range(CROWD)]

    async def story() -> None:
        peer = ("198.51.100.34", 34)  # whom no other test counts
        transport = httpx.ASGITransport(app, client=peer)
        client = httpx.AsyncClient(transport=transport, base_url="http://daybook")
        async with app.lifespan(), client:
            for _ in range(2):
                began = time.monotonic()
                answers = await asyncio.gather(*(client.get(path) for path in paths))
                assert time.monotonic() - began < 10
                assert [one.status_code for one in answers] == [404, 200] * (CROWD // 2)
            last = await client.get(paths[1])
            left = LIMIT - 2 * CROWD - 1  # each was counted, and by Redis
            assert f";r={left};" in last.headers["ratelimit"]

    with capture_logs() as logged:
        asyncio.run(story())
    assert [one["event"] for one in logged] == []
