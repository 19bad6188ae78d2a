"""Identifiers that sort by the time at which they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import time
from uuid import UUID

__all__ = ["uuid7"]


def uuid7() -> UUID:
    """Return a new UUID version 7: Unix milliseconds, the fraction of one in 12 bits, then 62 random bits.

    Those that a process makes one after the other sort so, as long as its clock is not set back: the fraction (RFC 9562
    section 6.2, method 3) has steps of a quarter of a microsecond.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    value = (
        (milliseconds & (1 << 48) - 1) << 80 | (nanoseconds << 12) // 1_000_000 << 64 | int.from_bytes(os.urandom(8))
    )
    value = value & ~(0xF << 76) | 0x7 << 76  # version, RFC 9562 section 4.2
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant, RFC 9562 section 4.1
    return UUID(int=value)
