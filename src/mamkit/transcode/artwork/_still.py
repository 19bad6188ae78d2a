"""Still pictures: pictures put together on a sheet, JPEG, PNG."""

from collections.abc import Sequence
from fractions import Fraction
from typing import cast

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.picture._filters import Filter, PictureFilter
from mamkit.transcode.reading._input import describe

try:
    import av
    from av.video.reformatter import ColorRange, Colorspace
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["jpeg", "picture_of", "png"]

_QUALITY = 4 * 118  # of 2 (best) to 31, in units of FF_QP2LAMBDA (libavutil/avutil.h): no flaw that is seen
# JPEG files are full-range BT.601 (JFIF, ITU-T T.871 section 7).
_TO_JPEG = [
    Filter("scale", {"flags": "bicubic+accurate_rnd+bitexact", "out_color_matrix": "bt601", "out_range": "pc"}),
    Filter("format", {"pix_fmts": "yuvj420p"}),
]


def picture_of(tiles: Sequence[tuple[tuple[int, int], av.VideoFrame]], width: int, height: int) -> av.VideoFrame:
    """Put pictures on a black sheet.

    Args:
        tiles: Where each has its left upper corner, even numbers of pixels, with the pictures: BT.709 in `yuv420p`.
        width: Pixels of the sheet, even.
        height: Pixels of the sheet, even.
    """
    sheet = av.VideoFrame(width, height, "yuv420p")
    sheet.colorspace, sheet.color_range = Colorspace.ITU709, ColorRange.MPEG
    for number, (plane, black) in enumerate(zip(sheet.planes, (16, 128, 128), strict=True)):
        stride, pixels = plane.line_size, bytearray([black]) * plane.buffer_size
        share = 2 if number else 1  # of the colours there is one for two pixels each way
        for (left, top), tile in tiles:
            source = tile.planes[number]
            lines, row = memoryview(source), source.width
            for y in range(source.height):
                at = (top // share + y) * stride + left // share
                pixels[at : at + row] = lines[y * source.line_size : y * source.line_size + row]
        plane.update(bytes(pixels))
    return sheet


def jpeg(picture: av.VideoFrame) -> bytes:
    """Return a picture, BT.709 in `yuv420p`, as a JPEG file.

    Raises:
        EncodeError: The encoder failed.
    """
    return _encode("mjpeg", PictureFilter(_TO_JPEG)(picture), {"flags": "+qscale", "global_quality": str(_QUALITY)})


def png(pixels: bytes, width: int, height: int) -> bytes:
    """Return pixels, four bytes each (red, green, blue, opacity), as a PNG file.

    Raises:
        EncodeError: The encoder failed.
    """
    picture = av.VideoFrame(width, height, "rgba")
    plane = picture.planes[0]
    row, padding = 4 * width, bytes(plane.line_size - 4 * width)
    plane.update(b"".join(pixels[y * row : (y + 1) * row] + padding for y in range(height)))
    return _encode("png", picture, {})


def _encode(encoder: str, picture: av.VideoFrame, options: dict[str, str]) -> bytes:
    context = cast("av.VideoCodecContext", av.CodecContext.create(encoder, "w"))
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format.name
    context.time_base = Fraction(1, 25)
    context.thread_count = 1
    context.options = {"fflags": "+bitexact"} | options
    picture.pts, picture.time_base = 0, context.time_base
    picture.pict_type = av.video.frame.PictureType.NONE
    try:
        packets = [*context.encode(picture), *context.encode(None)]
    except (av.FFmpegError, ValueError) as error:
        detail = describe(error) if isinstance(error, av.FFmpegError) else str(error)
        raise EncodeError(f"the encoder {encoder!r} failed: {detail}", encoder=encoder, detail=detail) from error
    return b"".join(bytes(packet) for packet in packets)
