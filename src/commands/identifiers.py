"""New identifiers: UUID version 7 (RFC 9562, 5.7), so that keys of one time lie side by side."""

import os
import time
from uuid import UUID

VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
RANDOM_BITS = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)


def new_id() -> UUID:
    """Return a new identifier: 48 bits of milliseconds since 1970, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    randomness = int.from_bytes(os.urandom(16)) & RANDOM_BITS
    return UUID(int=(milliseconds << 80) | VERSION_AND_VARIANT | randomness)
