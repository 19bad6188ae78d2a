"""How a decoded picture says that it is to be shown: which way up, and in which colours."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import av
from av.sidedata.sidedata import SideData, Type

__all__ = ["Colour", "colour", "orientation"]

Hdr = Literal["hdr10", "hlg", "dolby-vision"]


@dataclass(frozen=True, slots=True)
class Colour:
    """FFmpeg's names; None where the picture does not say."""

    primaries: str | None
    transfer: str | None
    space: str | None
    range: Literal["tv", "pc"] | None
    hdr: Hdr | None


def orientation(frame: av.VideoFrame) -> tuple[Literal[0, 90, 180, 270], bool]:
    """Return the turn that the display matrix asks for, degrees clockwise, and whether to flip left to right after it.

    The matrix (ISO/IEC 14496-12 section 8.2.2) takes a pixel at (x, y), y downwards, to (a*x + c*y, b*x + d*y).
    """
    matrix = _side_data(frame, Type.DISPLAYMATRIX)
    if matrix is None:
        return 0, False
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    mirrored = a * d - b * c < 0
    if mirrored:
        a = -a
    quarters = round(math.degrees(math.atan2(b, a)) / 90) % 4
    return cast("Literal[0, 90, 180, 270]", 90 * quarters), mirrored


def colour(frame: av.VideoFrame) -> Colour:
    """Return what the picture says about its colours."""
    transfer = _TRANSFERS.get(frame.color_trc)
    dolby = _side_data(frame, Type.DOVI_METADATA) is not None
    return Colour(
        primaries=_PRIMARIES.get(frame.color_primaries),
        transfer=transfer,
        space=_MATRICES.get(frame.colorspace),
        range=_RANGES.get(frame.color_range),
        hdr="dolby-vision" if dolby else _HDR_TRANSFERS.get(transfer or ""),
    )


def _side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    data = cast("Mapping[Type, SideData]", frame.side_data).get(kind)
    return None if data is None else bytes(data)


_RANGES: dict[int, Literal["tv", "pc"]] = {1: "tv", 2: "pc"}
_HDR_TRANSFERS: dict[str, Hdr] = {"smpte2084": "hdr10", "arib-std-b67": "hlg"}

# FFmpeg's names for the code points of ITU-T H.273, tables 2, 3 and 4.
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}

_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}

_MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
