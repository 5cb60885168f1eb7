"""Moving windows: how often each key was used within a time; in Redis, or in this process."""

import time
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec
from limits.aio.storage.redis.bridge import RedisBridge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

NAMESPACE = "daybook:limit:"
PATIENCE_SECONDS = 0.25
MOST_KEYS = 100_000


class Verdict(msgspec.Struct, frozen=True):
    """Whether one more use is allowed, how many are left, and the seconds until there is one more.

    `resets` is a moment of `time.monotonic`.
    """

    allowed: bool
    remaining: int
    resets: float


ACQUIRE = RedisBridge.SCRIPT_ACQUIRE_MOVING_WINDOW.decode()
WINDOW = RedisBridge.SCRIPT_MOVING_WINDOW.decode()
# The two scripts of `limits` for one key, here for as many keys as one call brings: one step that
# nobody comes between, and one clock, the server's. They read KEYS and ARGV, so as parameters.
SCRIPT = f"""
local function acquire(KEYS, ARGV)
{ACQUIRE}
end
local function window(KEYS, ARGV)
{WINDOW}
end
local limit, seconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('time')
local now = clock[1] + clock[2] / 1000000
local answers = {{}}
for number, key in ipairs(KEYS) do
    local allowed = acquire({{key}}, {{now, limit, seconds, 1}})
    local found = window({{key}}, {{now - seconds, limit}})
    local left = limit
    local wait = 0
    if found then
        left = limit - found[2]
        wait = math.max(0, math.floor((tonumber(found[1]) + seconds - now) * 1000))
    end
    answers[number] = (allowed and 1 or 0) .. ' ' .. left .. ' ' .. wait
end
return table.concat(answers, ',')
"""


class RedisWindows:
    """Windows that all processes share; each call is one round trip, however many keys it has."""

    def __init__(self, redis_url: str, limit: int, seconds: int) -> None:
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=2,
            timeout=PATIENCE_SECONDS,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=self._pool)
        self._arguments = (limit, seconds)
        self._digest = ""

    async def use(self, keys: Sequence[str]) -> list[Verdict]:
        """Use each key once, in order; errors of redis or `OSError` while it is away."""
        names = [NAMESPACE + key for key in keys]
        try:
            text = await self._redis.evalsha(self._digest, len(names), *names, *self._arguments)
        except NoScriptError:
            self._digest = await self._redis.script_load(SCRIPT)
            text = await self._redis.evalsha(self._digest, len(names), *names, *self._arguments)
        now = time.monotonic()
        return [verdict(one, now) for one in text.split(b",")]

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()
        await self._pool.disconnect()


def verdict(text: bytes, now: float) -> Verdict:
    """Read what the script says of one key."""
    allowed, left, milliseconds = text.split()
    return Verdict(allowed == b"1", int(left), now + int(milliseconds) / 1_000)


class OwnWindows:
    """Windows of this process alone, for as long as Redis is away; the least used are forgotten."""

    def __init__(self, limit: int, seconds: int) -> None:
        self._limit, self._seconds = limit, seconds
        self._uses: OrderedDict[str, deque[float]] = OrderedDict()

    def use(self, key: str) -> Verdict:
        """Use a key once."""
        now = time.monotonic()
        uses = self._uses.setdefault(key, deque())
        self._uses.move_to_end(key)
        while uses and uses[0] <= now - self._seconds:
            uses.popleft()
        allowed = len(uses) < self._limit
        if allowed:
            uses.append(now)
        if len(self._uses) > MOST_KEYS:
            self._uses.popitem(last=False)
        return Verdict(allowed, self._limit - len(uses), uses[0] + self._seconds)
