"""A still image, upright and small enough for a page."""

from collections.abc import Iterator
from fractions import Fraction

from mamkit.transcode._events import EncodedArt
from mamkit.transcode.artwork._still import jpeg
from mamkit.transcode.artwork.files import POSTER_NAME, POSTER_SIDE, THUMBNAIL_NAME, THUMBNAIL_SIDE
from mamkit.transcode.models import ArtFile
from mamkit.transcode.picture._picture import Standardiser, scaler
from mamkit.transcode.reading._image import image_picture, upright
from mamkit.transcode.reading.source import Source

__all__ = ["encode_thumbnails"]


def encode_thumbnails(source: Source) -> Iterator[EncodedArt]:
    """Yield a still image in the two sizes that a page shows, as JPEG without anything that stood beside it.

    Raises:
        MediaError: As for `image_picture`.
        EncodeError: A filter or the encoder failed.
    """
    picture = image_picture(source)
    turn = upright(source)
    shown = turn.before(picture.width, picture.height)
    sizes = {
        name: _within(shown, side) for name, side in ((POSTER_NAME, POSTER_SIDE), (THUMBNAIL_NAME, THUMBNAIL_SIDE))
    }
    standard = Standardiser(turn.before(*sizes[POSTER_NAME]))(picture)
    for name, (width, height) in sizes.items():
        data = jpeg(scaler(width, height, turn)(standard))
        yield EncodedArt(ArtFile(name=name, size=len(data)), data)


def _within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the even size of a picture whose long side is at most so many pixels."""
    scale = min(Fraction(1), Fraction(side, max(size)))
    width, height = (max(2, 2 * round(length * scale / 2)) for length in size)
    return width, height
