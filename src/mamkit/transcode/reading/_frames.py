"""The frames of a picture stream as its container has them, before any is decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Frames"]


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames of a stream in decode order.

    Attributes:
        times: When they are shown, ticks.
        tick: Seconds.
        sizes: Bytes.
        sync: Indices of those that can be decoded alone.
        is_idr: Whether one of these is an IDR picture, after which nothing needs what came before.
        fetch: Told before several are asked about.
    """

    times: Sequence[int]
    tick: Fraction
    sizes: Sequence[int]
    sync: Sequence[int]
    is_idr: Callable[[int], bool]
    fetch: Callable[[Sequence[int]], None] = lambda _: None
