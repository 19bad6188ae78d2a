"""Memory that bytes are read into, used again and again, and aligned to pages.

The alignment is worth a module: the kernel copies from pages to pages, and into memory that starts a few bytes after a
page, as that of a large `bytes` or `bytearray` does, it copies several times as slowly on today's processors.
"""

import mmap
from collections.abc import Callable
from typing import Any

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage.protocols import ObjectBody

__all__ = ["buffer_of", "fill", "reader_into"]


def buffer_of(size: int) -> memoryview:
    """Return memory of at least one byte that starts with a page; it is given back with the last view of it."""
    return memoryview(mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def reader_into(source: object) -> Callable[[memoryview], int | None] | None:
    """Return what reads a file or a body into a buffer; None if it can only hand out bytes."""
    found: Any = getattr(source, "readinto", None)
    return found if callable(found) else None


def fill(body: ObjectBody, target: memoryview) -> int:
    """Read from a body until the target is full or the body is at its end, and return how many bytes there were."""
    done, readinto = 0, reader_into(body)
    while done < len(target):
        if readinto is not None:
            count = readinto(target[done:]) or 0
        else:
            block = body.read(min(BLOCK_SIZE, len(target) - done))
            count = len(block)
            target[done : done + count] = block
        if not count:
            break
        done += count
    return done
