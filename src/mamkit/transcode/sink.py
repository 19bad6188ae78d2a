"""Where finished segments go."""

from fractions import Fraction
from typing import Protocol

from mamkit.transcode.models import ArtFile, Init, Segment

__all__ = ["Sink"]


class Sink(Protocol):
    """Takes the bytes of a part as they are finished: a folder, an object store, a test.

    All calls come from the thread that asked for the encoding. An exception raised by a method ends the encoding and
    reaches the caller as it is.
    """

    def init(self, init: Init, data: bytes) -> None:
        """Take the initialisation segment of a rendition: once a part, before the rendition's first media segment."""

    def segment(self, segment: Segment, data: bytes) -> None:
        """Take the next media segment of a rendition; those of one rendition come in ascending order."""

    def art(self, file: ArtFile, data: bytes) -> None:
        """Take a piece of artwork; only a part of the kind `artwork` brings any."""

    def progress(self, done: Fraction) -> None:
        """Hear how much of the part is done, from 0 to 1, never less than before."""
