"""In which colours a decoded picture says that it is to be shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from mamkit.errors import MissingExtraError

try:
    import av
    from av.sidedata.sidedata import SideData, Type
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


def colour(frame: av.VideoFrame) -> Colour:
    """Return what the picture says about its colours."""
    transfer = _TRANSFERS.get(frame.color_trc)
    dolby = Type.DOVI_METADATA in cast("Mapping[Type, SideData]", frame.side_data)
    return Colour(
        primaries=_PRIMARIES.get(frame.color_primaries),
        transfer=transfer,
        space=_MATRICES.get(frame.colorspace),
        range=_RANGES.get(frame.color_range),
        hdr="dolby-vision" if dolby else _HDR_TRANSFERS.get(transfer or ""),
    )


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
