"""How much of a machine a worker has for itself: processors and memory, as far as its container lets it have them."""

import math
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["at_once", "card_slots_of", "memory", "processors", "slots_of"]

_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.75  # of the memory; the rest is the worker's own, the system's, and files that the system keeps at hand
_SIZES = 4  # renditions of the usual ladder, each of which takes a session of a card
_BUSY = 4  # processors that one encode of a ladder of four renditions keeps at work


def processors(cgroup: Path = _CGROUP) -> int:
    """Return how many processors this process may use, by its affinity and by the quota of its container.

    Args:
        cgroup: Where the kernel shows the limits of control groups (cgroup v2, `cpu.max`).
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    return max(1, count)


def memory(cgroup: Path = _CGROUP) -> int | None:
    """Return how many bytes all child processes together may take; None where the system does not say.

    Args:
        cgroup: As for `processors` (`memory.max`).
    """
    limits: list[int] = []
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # a group without a limit says "max"
        limits.append(int((cgroup / "memory.max").read_text()))
    return round(min(limits) * _SHARE) if limits else None


def at_once(count: int) -> int:
    """Return how many parts so many processors can make at once without one being slower for it."""
    return count // _BUSY


def slots_of(count: int) -> int:
    """Return how many jobs are best done at once on so many processors.

    One for every four, which an encode keeps at work; two where there are two or three, so that the sound that playback
    waits for is made beside the first picture.
    """
    return max(min(count, 2), count // _BUSY)


def card_slots_of(sessions: int) -> int:
    """Return how many parts are best made at once on a card with so many sessions."""
    return max(1, sessions // _SIZES)
