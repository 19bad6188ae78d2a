"""Identifiers that sort by the time at which they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import time
from uuid import UUID

__all__ = ["uuid7"]


def uuid7() -> UUID:
    """Return a new UUID version 7: 48 bits of Unix milliseconds, then 74 random bits.

    Two identifiers made within one millisecond are not ordered.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76  # version, RFC 9562 section 4.2
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant, RFC 9562 section 4.1
    return UUID(int=value)
