"""From high dynamic range and wide colours to what every screen shows: a table that FFmpeg looks colours up in.

FFmpeg's own conversion (`scale` with `out_transfer`) turns saturated skies pink, and is five times slower.
"""

import math
from array import array
from collections.abc import Callable

from mamkit.errors import MissingExtraError
from mamkit.transcode.picture._filters import Filter

try:
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["needs_tone_mapping", "tone_mapping"]

_LEVEL = 6  # a Hald table of level 6 has 36 steps a colour, and 216x216 pixels
_FORMAT = "gbrpf32le"  # of the planar formats, the one whose planes FFmpeg 8's `haldclut` does not mix up

_REFERENCE_WHITE = 203.0  # cd/m²: ITU-R BT.2408 section 2.1, what a white page is on an HDR screen
_PEAK = 1000.0  # cd/m²: the brightest that the table tells apart, and BT.2100's nominal HLG screen

Rgb = tuple[float, float, float]
Matrix = tuple[Rgb, Rgb, Rgb]

_SAME: Matrix = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_FROM_BT2020: Matrix = (  # ITU-R BT.2407 section 2
    (1.6605, -0.5876, -0.0728),
    (-0.1246, 1.1329, -0.0083),
    (-0.0182, -0.1006, 1.1187),
)
_FROM_P3: Matrix = (  # from SMPTE EG 432-1's primaries with the white of D65
    (1.2249, -0.2247, 0.0),
    (-0.0420, 1.0419, 0.0),
    (-0.0197, -0.0786, 1.0979),
)
_TO_BT709: dict[int, Matrix] = {
    ColorPrimaries.BT2020: _FROM_BT2020,
    ColorPrimaries.SMPTE431: _FROM_P3,
    ColorPrimaries.SMPTE432: _FROM_P3,
}


def needs_tone_mapping(picture: av.VideoFrame) -> bool:
    """Return whether a picture has colours, or a brightness, that BT.709 has not."""
    return picture.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67) or picture.color_primaries in _TO_BT709


def tone_mapping(transfer: int, primaries: int) -> list[Filter]:
    """Return the filters that make BT.709 of pictures with this transfer and these primaries (ITU-T H.273)."""
    table = _table(transfer, primaries)
    return [
        Filter("format", {"pix_fmts": _FORMAT}),
        Filter("haldclut", {"interp": "tetrahedral"}, second=table),
        Filter("scale", {"flags": "bicubic+accurate_rnd+bitexact", "out_color_matrix": "bt709", "out_range": "tv"}),
        Filter("format", {"pix_fmts": "yuv420p"}),
    ]


def _table(transfer: int, primaries: int) -> av.VideoFrame:
    """Return a Hald table: red runs fastest, blue slowest, and the pixels are the answers."""
    steps = _LEVEL**2
    convert = _conversion(transfer, primaries)
    scale = [step / (steps - 1) for step in range(steps)]
    answers = [convert((red, green, blue)) for blue in scale for green in scale for red in scale]
    side = _LEVEL**3
    table = av.VideoFrame(side, side, _FORMAT)
    for plane, channel in zip(table.planes, (1, 2, 0), strict=True):  # planes stand in the order green, blue, red
        values = array("f", (answer[channel] for answer in answers)).tobytes()
        row, padding = 4 * side, bytes(plane.line_size - 4 * side)
        plane.update(b"".join(values[y * row : (y + 1) * row] + padding for y in range(side)))
    table.color_range = ColorRange.JPEG
    table.colorspace = 0  # RGB
    return table


def _conversion(transfer: int, primaries: int) -> Callable[[Rgb], Rgb]:
    """Return the function from coded colours to coded BT.709 colours, all from 0 to 1."""
    high_range = transfer in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
    matrix = _TO_BT709.get(primaries, _FROM_BT2020 if high_range and primaries != ColorPrimaries.BT709 else _SAME)
    to_light = _TO_LIGHT.get(transfer, _sdr_light)

    def convert(coded: Rgb) -> Rgb:
        light = to_light(coded)
        shown = [max(0.0, sum(m * c for m, c in zip(row, light, strict=True))) for row in matrix]
        if high_range and (brightest := max(shown)) > 0:
            dim = _compress(brightest) / brightest  # the same for all three keeps the hue
            shown = [c * dim for c in shown]
        red, green, blue = (min(1.0, c) ** (1 / 2.4) for c in shown)  # ITU-R BT.1886 backwards
        return red, green, blue

    return convert


def _compress(light: float) -> float:
    """Bring light, 1 for reference white, into 0 to 1 by Reinhard's curve with a white point (SIGGRAPH 2002, eq. 4)."""
    return light * (1 + light / (_PEAK / _REFERENCE_WHITE) ** 2) / (1 + light)


def _pq_light(coded: Rgb) -> Rgb:
    """ITU-R BT.2100 table 4, the reference PQ EOTF; 1 for reference white."""
    red, green, blue = (_pq(c) / _REFERENCE_WHITE for c in coded)
    return red, green, blue


def _pq(coded: float) -> float:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = coded ** (1 / m2)
    return float(10_000 * (max(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg_light(coded: Rgb) -> Rgb:
    """ITU-R BT.2100 table 5, the reference HLG EOTF on a screen of 1000 cd/m² (gamma 1.2); 1 for reference white."""
    scene = [_hlg(c) for c in coded]
    brightness = sum(w * c for w, c in zip((0.2627, 0.6780, 0.0593), scene, strict=True))
    red, green, blue = (_PEAK * brightness**0.2 * c / _REFERENCE_WHITE for c in scene)
    return red, green, blue


def _hlg(coded: float) -> float:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return coded**2 / 3 if coded <= 0.5 else (math.exp((coded - c) / a) + b) / 12


def _sdr_light(coded: Rgb) -> Rgb:
    """ITU-R BT.1886, as an ideal screen shows it; 1 for white."""
    red, green, blue = (c**2.4 for c in coded)
    return red, green, blue


_TO_LIGHT: dict[int, Callable[[Rgb], Rgb]] = {ColorTrc.SMPTE2084: _pq_light, ColorTrc.ARIB_STD_B67: _hlg_light}
