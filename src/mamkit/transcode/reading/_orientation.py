"""Which way up a decoded picture is."""

import math
import struct
from fractions import Fraction
from typing import Literal, NamedTuple

from mamkit.errors import MissingExtraError
from mamkit.transcode.reading._beside import Type, beside

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Orientation", "exif_orientation", "orientation", "pixel_shape"]

_STRANGEST_PIXEL = 16  # a sample aspect ratio beyond this, or below its inverse, is a mistake

_QUARTERS: tuple[Literal[0], Literal[90], Literal[180], Literal[270]] = (0, 90, 180, 270)


class Orientation(NamedTuple):
    """How a decoded picture must be turned to be upright."""

    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise."""
    mirrored: bool
    """Whether it is flipped left to right after that."""

    def before(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height, before turning, of what has these when it is upright."""
        return (width, height) if self.rotation in (0, 180) else (height, width)


def orientation(picture: av.VideoFrame) -> Orientation:
    """Return what the display matrix of a picture asks for, rounded to quarters of a turn.

    Where the matrix itself cannot be had, as `beside` says, only the turn is known, and not whether it is mirrored.

    The matrix (ISO/IEC 14496-12 section 8.2.2) takes a pixel at (x, y), y downwards, to (a*x + c*y, b*x + d*y).
    """
    matrix = beside(picture).get(Type.DISPLAYMATRIX)
    if matrix is None:
        return Orientation(_QUARTERS[round(-picture.rotation / 90) % 4], mirrored=False)  # counted counterclockwise
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    mirrored = a * d - b * c < 0
    quarters = round(math.degrees(math.atan2(b, -a if mirrored else a)) / 90) % 4
    return Orientation(_QUARTERS[quarters], mirrored)


def exif_orientation(head: bytes) -> Orientation | None:
    """Return what the Exif block in the first bytes of a JPEG file asks for; None where there is none.

    Exif 2.32 section 4.6.4: tag 0x0112 of the first directory, from 1 to 8.
    """
    start = head.find(b"Exif\0\0")
    if start < 0:
        return None
    tiff = head[start + 6 :]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return None
        (offset,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, offset + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return _EXIF.get(value)
    except struct.error:  # cut short, or pointing outside
        pass
    return None


_ORIENTATION = 0x0112
_EXIF = {
    1: Orientation(0, mirrored=False),
    2: Orientation(0, mirrored=True),
    3: Orientation(180, mirrored=False),
    4: Orientation(180, mirrored=True),
    5: Orientation(90, mirrored=True),
    6: Orientation(90, mirrored=False),
    7: Orientation(270, mirrored=True),
    8: Orientation(270, mirrored=False),
}


def pixel_shape(stream: av.VideoStream) -> Fraction:
    """Return the width of a pixel over its height: 1 where what the file says is a mistake."""
    ratio = stream.sample_aspect_ratio
    if not ratio or not Fraction(1, _STRANGEST_PIXEL) <= ratio <= _STRANGEST_PIXEL:
        return Fraction(1)
    return ratio
