"""From pictures at any times to pictures at a constant rate."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

__all__ = ["EARLY", "sample"]

T = TypeVar("T")

EARLY = Fraction(3, 8)
"""How much too early a source picture may be shown, in output frames.

Timestamps are rounded (Matroska: to a millisecond) and jitter, so a picture that is due a little after its frame
belongs to it. 3/8 leaves the jitter of an unchanged rate the most room without lying on a picture of a source that is
2, 3, 4 or 5 times as fast, where rounding would pick now the one and now the other neighbour.
"""


def sample(pictures: Iterable[tuple[Fraction, T]], frames: range, rate: Fraction) -> Iterator[tuple[int, T]]:
    """Yield each output frame with the picture that it shows.

    Frame `n` shows the newest picture whose time is less than `(n + EARLY) / rate`. Frames before the first picture
    show that one; frames past the last picture hold it. What a frame shows does not depend on where `pictures` begin,
    as long as they begin with one that is not newer than the first frame, or with the very first.

    Args:
        pictures: Times in seconds on the output's clock, with pictures. One that is not newer than the one before it is
            passed over. No more of them are taken than are needed.
        frames: Numbers of the wanted output frames, step 1.
        rate: Output frames per second.

    Yields:
        Number of an output frame and its picture; nothing if there are no pictures.
    """
    n = frames.start
    newest: tuple[Fraction, T] | None = None
    for time, picture in pictures:
        if newest is not None:
            if time <= newest[0]:
                continue
            while n < frames.stop and (n + EARLY) / rate <= time:
                yield n, newest[1]
                n += 1
        if n >= frames.stop:
            return
        newest = time, picture
    if newest is not None:
        for held in range(n, frames.stop):
            yield held, newest[1]
