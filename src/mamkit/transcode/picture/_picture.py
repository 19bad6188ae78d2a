"""From decoded pictures of any kind to upright ones of one size: 8 bits, 4:2:0, BT.709, square pixels."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode.models import VideoRange
from mamkit.transcode.picture._filters import Chain, Filter, PictureFilter, kind
from mamkit.transcode.picture._tone_map import needs_tone_mapping, tone_mapping
from mamkit.transcode.reading._orientation import Orientation

try:
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["PIXEL_FORMATS", "Standardiser", "deinterlaced", "scaler"]

PIXEL_FORMATS: dict[VideoRange, str] = {"SDR": "yuv420p", "PQ": "yuv420p10le", "HLG": "yuv420p10le"}
"""FFmpeg's names of what encoders take."""

_RGB, _BT709, _BT601, _BT2020 = 0, 1, 6, 9  # matrices, ITU-T H.273 table 4
_KNOWN_MATRICES = {_BT709, 4, 5, _BT601, 7, _BT2020}  # those that swscale converts
_HD_LINES = 720  # what does not say is BT.709 from here on and BT.601 below, as players take it

_FAST = "bicubic"
_EXACT = "bicubic+accurate_rnd+bitexact"  # half as long again: flat areas stay as they are, on every processor
_FAST_SHRINKING = 3  # times at most: `_FAST` leaves flat areas as they are so far, and is a level off at four times
_DEINTERLACER = Filter("bwdif", {"mode": "send_frame", "deint": "interlaced"})


def deinterlaced(pictures: Iterable[tuple[Fraction, av.VideoFrame]]) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Yield the pictures, those whole that are flagged as two fields; times stay as they are.

    The filter looks at the picture before and the one after, and is used from the first flagged picture on.
    """
    chain: Chain | None = None
    likeness = None
    times: deque[Fraction] = deque()
    for time, picture in pictures:
        if chain is not None and likeness != kind(picture):
            yield from zip(_drain(times), chain.push(None), strict=False)
            chain = None
        if chain is None and picture.interlaced_frame:
            chain, likeness = Chain(picture, [_DEINTERLACER]), kind(picture)
        if chain is None:
            yield time, picture
            continue
        times.append(time)
        for made in chain.push(picture):
            yield times.popleft(), made
    if chain is not None:
        yield from zip(_drain(times), chain.push(None), strict=False)


def _drain(times: deque[Fraction]) -> Iterator[Fraction]:
    while times:
        yield times.popleft()


class Standardiser:
    """Makes pictures that say truly which BT.709 or BT.601 they are, so that a scaler needs to know no more.

    What has more than BT.709's range of brightness or colours is converted, at no larger size than is wanted: all other
    conversions are left to the scalers.

    Args:
        size: Width and height of the largest rendition before it is turned, pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._scale = Filter("scale", {"w": str(size[0]), "h": str(size[1]), "flags": _EXACT})
        self._tone_map: PictureFilter | None = None
        self._colours: tuple[int, int] | None = None
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return the picture itself, with its tags completed, or what it is converted to; the same for the same."""
        if self._last is None or self._last[0] is not picture:
            self._last = picture, self._standardise(picture)
        return self._last[1]

    def _standardise(self, picture: av.VideoFrame) -> av.VideoFrame:
        convert = needs_tone_mapping(picture)
        colours = picture.color_trc, picture.color_primaries
        _complete_tags(picture)
        if convert:
            if self._tone_map is None or self._colours != colours:
                self._colours = colours
                self._tone_map = PictureFilter([self._scale, *tone_mapping(*colours)], threads=0)
            picture = self._tone_map(picture)
            _complete_tags(picture)
        return picture


def _complete_tags(picture: av.VideoFrame) -> None:
    """Give a picture a matrix and a range that FFmpeg can convert from, and take from it what it would refuse."""
    rgb = picture.format.is_rgb
    if rgb:
        picture.colorspace = _RGB
    elif picture.colorspace not in _KNOWN_MATRICES:
        usual = _BT709 if picture.height >= _HD_LINES else _BT601
        picture.colorspace = _BT2020 if picture.color_primaries == ColorPrimaries.BT2020 else usual
    if picture.color_range not in (ColorRange.MPEG, ColorRange.JPEG):
        full = rgb or picture.format.name.startswith("yuvj")
        picture.color_range = ColorRange.JPEG if full else ColorRange.MPEG
    picture.color_trc = ColorTrc.BT709
    picture.color_primaries = ColorPrimaries.BT709


def scaler(width: int, height: int, turn: Orientation, video_range: VideoRange = "SDR") -> PictureFilter:
    """Return what makes upright pictures of a size of those that a `Standardiser` gives, or has seen.

    A picture that has the size and the colours already is passed on without being copied.

    Args:
        width: Pixels as shown.
        height: Pixels as shown.
        turn: What makes them upright.
        video_range: What they become. For HDR they must be what a `Standardiser` was given, in HDR themselves; their
            brightness and colours stay as they are.
    """
    size = turn.before(width, height)
    return PictureFilter(lambda picture: [*_sizing(picture, size, video_range), *_turning(turn)])


def _sizing(picture: av.VideoFrame, size: tuple[int, int], video_range: VideoRange) -> Iterator[Filter]:
    pixel_format = PIXEL_FORMATS[video_range]
    matrix, name = (_BT709, "bt709") if video_range == "SDR" else (_BT2020, "bt2020")
    found = picture.format.name, picture.colorspace, picture.color_range
    converted = found != (pixel_format, matrix, ColorRange.MPEG)
    if converted or (picture.width, picture.height) != size:
        w, h = size
        flags = _EXACT if converted or picture.height > _FAST_SHRINKING * h else _FAST
        options = {"w": str(w), "h": str(h), "flags": flags, "out_color_matrix": name, "out_range": "tv"}
        yield Filter("scale", options)
    yield Filter("format", {"pix_fmts": pixel_format})


def _turning(turn: Orientation) -> Iterator[Filter]:
    if turn.rotation == 180:
        yield from (Filter("hflip"), Filter("vflip"))
    elif turn.rotation:
        yield Filter("transpose", {"dir": "clock" if turn.rotation == 90 else "cclock"})
    if turn.mirrored:
        yield Filter("hflip")
