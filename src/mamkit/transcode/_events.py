"""What comes out of encoding a part, in the order in which it is finished."""

from fractions import Fraction
from typing import NamedTuple

from mamkit.transcode.models import ArtFile, Init, Segment

__all__ = ["EncodedArt", "EncodedInit", "EncodedSegment", "Event"]


class EncodedInit(NamedTuple):
    """The initialisation segment of a rendition."""

    facts: Init
    data: bytes


class EncodedSegment(NamedTuple):
    """A finished media segment."""

    facts: Segment
    data: bytes


class EncodedArt(NamedTuple):
    """A finished piece of artwork."""

    facts: ArtFile
    data: bytes


Event = EncodedInit | EncodedSegment | EncodedArt | Fraction
"""A fraction is how much of the part is done, from 0 to 1; the same again is a sign of life."""
