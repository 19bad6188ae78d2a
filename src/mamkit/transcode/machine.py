"""How much of a machine this process has for itself, and how much of it an encode takes."""

import math
import os
from contextlib import suppress
from pathlib import Path

from mamkit.transcode.models import Codec, Part, Plan

__all__ = ["at_once", "memory", "memory_of", "processors"]

_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.75  # of the memory; the rest is this process's own, the system's, and files that the system keeps at hand
_BUSY = 2  # processors that one encode keeps at work: the largest of its sizes is nearly half of it, in one thread

_PROCESS = 120 << 20  # bytes of a child that has opened a file: Python, FFmpeg and pydantic
_PICTURE = 3 / 2  # bytes a pixel in 4:2:0 at 8 bits
_DECODED = 70  # pictures as large as the largest rendition that are decoded: 17 of a source four times as large
# Pictures that an encoder holds: those that it looks ahead at, those that it refers to, and one a thread. Measured as
# resident memory of a child on two processors; see docs/decisions/0053-slots-by-cores-and-memory.md.
_HELD: dict[Codec, int] = {"h264": 60, "hevc": 110, "av1": 160}


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


def memory_of(plan: Plan | None = None, part: Part | None = None) -> int:
    """Return about how many bytes a child takes: for a probe, or for a part of a plan.

    Args:
        plan: What is made; None for a probe.
        part: What of it.
    """
    if plan is None or part is None or part.kind in {"audio", "subtitles"} or not plan.video:
        return _PROCESS
    largest = max(rendition.width * rendition.height for rendition in plan.video)
    pictures: float = _DECODED * largest
    if part.kind == "video":
        pictures += sum(
            _HELD[rendition.codec] * rendition.width * rendition.height
            for rendition in plan.video
            if not rendition.copied
        )
    return _PROCESS + round(pictures * _PICTURE)


def at_once(count: int) -> int:
    """Return how many parts of pictures so many processors can make at once without one being slower for it."""
    return count // _BUSY
