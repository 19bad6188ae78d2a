"""How much one source may ask of the machine."""

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on a source, and on the child process that opens it.

    Raises:
        ValueError: A bound is not larger than zero.
    """

    duration: timedelta = timedelta(hours=24)
    """The longest film; the probe refuses more, and more than an hour longer than its bytes fill at 32 a second."""
    pixels: int = 8192 * 4608
    """Width times height of the largest picture: 8K at 16:9. The probe refuses more."""
    streams: int = 64
    """Most streams in a file; the probe refuses more."""
    memory: int = 6 << 30
    """Bytes of private memory of the child (`RLIMIT_DATA`). Six renditions of a film of 2160p at 60 frames per second
    took 1.7 GB on two processors; each further thread of the decoder needs room for a picture."""
    segment_bytes: int = 256 << 20
    """Bytes of the largest file that the child may write; a segment of 6 s at 30 Mb/s is 23 MB."""
    stall: timedelta = timedelta(minutes=2)
    """How long the child may work without making progress: as long as a probe may take, which reports none."""
    time: timedelta = timedelta(hours=1)
    """How long the child may take for a part in all."""

    def __post_init__(self) -> None:
        numbers = (self.pixels, self.streams, self.memory, self.segment_bytes)
        if min(numbers) <= 0 or min(self.duration, self.stall, self.time) <= timedelta(0):
            raise ValueError("every limit must be larger than zero")
