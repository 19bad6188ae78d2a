"""In which colours a decoded picture says that it is to be shown, and how it was graded."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mamkit.errors import MissingExtraError
from mamkit.transcode.models import HdrMetadata, MasteringDisplay
from mamkit.transcode.reading._beside import Type, beside

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Colour", "colour"]

Hdr = Literal["hdr10", "hlg", "dolby-vision"]


@dataclass(frozen=True, slots=True)
class Colour:
    """FFmpeg's names; None where the picture does not say."""

    primaries: str | None
    transfer: str | None
    space: str | None
    range: Literal["tv", "pc"] | None
    hdr: Hdr | None
    metadata: HdrMetadata | None
    """How an HDR picture was graded."""


def colour(frame: av.VideoFrame) -> Colour:
    """Return what the picture says about its colours."""
    transfer = _TRANSFERS.get(frame.color_trc)
    said = beside(frame)
    hdr = "dolby-vision" if Type.DOVI_METADATA in said else _HDR_TRANSFERS.get(transfer or "")
    display = _mastering_display(said.get(Type.MASTERING_DISPLAY_METADATA))
    brightest, average = struct.unpack_from("=II", said.get(Type.CONTENT_LIGHT_LEVEL, bytes(8)))
    known = hdr is not None and (display is not None or brightest > 0)
    return Colour(
        primaries=_PRIMARIES.get(frame.color_primaries),
        transfer=transfer,
        space=_MATRICES.get(frame.colorspace),
        range=_RANGES.get(frame.color_range),
        hdr=hdr,
        metadata=HdrMetadata(display=display, max_cll=brightest, max_fall=average) if known else None,
    )


def _mastering_display(data: bytes | None) -> MasteringDisplay | None:
    """Read FFmpeg's `AVMasteringDisplayMetadata`: ten rational numbers, and whether they are there."""
    if data is None or len(data) < _MASTERING.size:
        return None
    *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(data)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if not (has_primaries and has_luminance) or not all(denominator > 0 for _, denominator in pairs):
        return None
    units = [_CHROMATICITY] * 8 + [_LUMINANCE] * 2
    values = [round(Fraction(top, bottom) / unit) for (top, bottom), unit in zip(pairs, units, strict=True)]
    red, green, blue, white = ((values[at], values[at + 1]) for at in range(0, 8, 2))
    darkest, brightest = values[8:]
    if not (all(0 <= value <= _MOST_CHROMATICITY for value in values[:8]) and 0 <= darkest < brightest < 1 << 32):
        return None
    return MasteringDisplay(red=red, green=green, blue=blue, white=white, brightest=brightest, darkest=darkest)


_MASTERING = struct.Struct("=20i2i")  # libavutil/mastering_display_metadata.h
_CHROMATICITY, _LUMINANCE = Fraction(1, 50_000), Fraction(1, 10_000)  # units of ITU-T H.265 section D.3.28
_MOST_CHROMATICITY = 50_000


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
