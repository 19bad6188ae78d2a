"""Which way up a decoded picture is."""

import math
import struct
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

from mamkit.errors import MissingExtraError

try:
    import av
    from av.sidedata.sidedata import SideData
    from av.sidedata.sidedata import Type as SideDataType
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Orientation", "orientation"]


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

    The matrix (ISO/IEC 14496-12 section 8.2.2) takes a pixel at (x, y), y downwards, to (a*x + c*y, b*x + d*y).
    """
    matrix = cast("Mapping[SideDataType, SideData]", picture.side_data).get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return Orientation(0, mirrored=False)
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    mirrored = a * d - b * c < 0
    quarters = round(math.degrees(math.atan2(b, -a if mirrored else a)) / 90) % 4
    return Orientation((0, 90, 180, 270)[quarters], mirrored)
