"""The headers that say how much is left of a limit, and when to come again.

They are those of draft-ietf-httpapi-ratelimit-headers (11) and, for clients of its older versions,
RateLimit-Limit, -Remaining and -Reset.
"""

import math

from api.envelope import Headers

SHARED = frozenset({b"ratelimit-policy", b"ratelimit"})  # lists: an answer may have several


def rate_headers(policy: bytes, quota: int, window: int, left: int, wait: int) -> Headers:
    """Return the headers of a limit: `left` of `quota` in `window` seconds, one more in `wait`."""
    return [
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (policy, quota, window)),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (policy, left, wait)),
        (b"ratelimit-limit", b"%d" % quota),
        (b"ratelimit-remaining", b"%d" % left),
        (b"ratelimit-reset", b"%d" % wait),
    ]


def retry_after(wait: int) -> tuple[bytes, bytes]:
    """Return the header that says in how many seconds to come again."""
    return b"retry-after", b"%d" % wait


def whole_seconds(wait: float) -> int:
    """Return the seconds to wait as a whole number, at least one."""
    return max(1, math.ceil(wait))
