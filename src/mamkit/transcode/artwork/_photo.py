"""A still image, upright and small enough for a page."""

import itertools
from collections.abc import Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedArt
from mamkit.transcode.artwork._still import jpeg
from mamkit.transcode.artwork.files import POSTER_NAME, POSTER_SIDE, THUMBNAIL_NAME, THUMBNAIL_SIDE
from mamkit.transcode.errors import MediaUnreadableError
from mamkit.transcode.models import ArtFile
from mamkit.transcode.picture._picture import Standardiser, scaler
from mamkit.transcode.reading._image import upright
from mamkit.transcode.reading._input import describe, open_image
from mamkit.transcode.reading.source import Source, name_of

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["encode_thumbnails"]


def encode_thumbnails(source: Source) -> Iterator[EncodedArt]:
    """Yield a still image in the two sizes that a page shows, as JPEG without anything that stood beside it.

    Raises:
        MediaUnsupportedError: The file is no still image of a kind that is accepted, or is put together from tiles.
        MediaUnreadableError: The image cannot be decoded.
        MediaError: The file cannot be opened.
        EncodeError: A filter or the encoder failed.
    """
    picture = _decoded(source)
    turn = upright(source)
    shown = turn.before(picture.width, picture.height)
    sizes = {
        name: _within(shown, side) for name, side in ((POSTER_NAME, POSTER_SIDE), (THUMBNAIL_NAME, THUMBNAIL_SIDE))
    }
    standard = Standardiser(turn.before(*sizes[POSTER_NAME]))(picture)
    for name, (width, height) in sizes.items():
        data = jpeg(scaler(width, height, turn)(standard))
        yield EncodedArt(ArtFile(name=name, size=len(data)), data)


def _decoded(source: Source) -> av.VideoFrame:
    detail = ""
    with open_image(source) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        try:
            for packet in itertools.chain(itertools.islice(container.demux(stream), 1), [None]):
                for picture in stream.codec_context.decode(packet):
                    picture.pts = 0
                    return picture
        except MemoryError:
            raise
        except av.FFmpegError as error:
            detail = describe(error)
    raise MediaUnreadableError(f"{name_of(source)!r} is an image that cannot be decoded", detail=detail)


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the even size of a picture whose long side is at most so many pixels."""
    scale = min(Fraction(1), Fraction(side, max(size)))
    width, height = (max(2, 2 * round(length * scale / 2)) for length in size)
    return width, height
