"""What the header of a still image says: which way up it is, and how large."""

from mamkit.transcode.reading._input import open_image
from mamkit.transcode.reading._orientation import Orientation, exif_orientation
from mamkit.transcode.reading.source import Source, open_bytes

__all__ = ["shown_size", "upright"]

_HEAD = 1 << 17  # bytes in which an Exif block is looked for; it is at most half of that


def shown_size(source: Source) -> tuple[int, int]:
    """Return width and height of a still image as it is shown, pixels.

    Raises:
        MediaError: As for `open_image`.
    """
    with open_image(source) as container:
        context = container.streams.video[0].codec_context
        return upright(source).before(context.width, context.height)


def upright(source: Source) -> Orientation:
    """Return which way up a picture is as the Exif block of a JPEG file says.

    What stands beside decoded pictures is not looked at: PyAV 18.1 has no names for some of what FFmpeg puts beside
    images, and crashes on it.
    """
    with open_bytes(source) as file:
        return exif_orientation(file.read(_HEAD)) or Orientation(0, mirrored=False)
