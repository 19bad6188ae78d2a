"""Whether an encoder really works here: that a build of FFmpeg names it, and that there is a card, says nothing.

A card can be there without an encoder (some have decoders only), its driver can be too old, and all its sessions taken.
"""

import hashlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from io import BytesIO

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedInit, EncodedSegment
from mamkit.transcode.encoding._pictures import PictureSegments
from mamkit.transcode.encoding.encoders import PictureEncoder, encoder_for, on_card
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.models import Codec, Device, Plan, VideoRendition

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["headers_here", "try_here"]

_WIDTH, _HEIGHT = 640, 360  # pixels: all encoders take it
_GOP = 6
_CUTS = (0, 9, 18)  # the last two begin where a key frame must be asked for


def try_here(encoder: PictureEncoder, codec: Codec) -> str:
    """Encode a few pictures in this process, key frames where they are asked for, and decode them again.

    Return what tells the headers that it writes from those of other encoders: 16 hexadecimal digits.

    Args:
        encoder: What is tried.
        codec: What it is said to make.

    Raises:
        EncodeError: It cannot be opened, fails, or does not do what it is told.
    """
    rate, count = Fraction(30), 24
    rendition = VideoRendition(
        name="trial", codec=codec, width=_WIDTH, height=_HEIGHT, bit_rate=1_000_000, max_bit_rate=1_500_000
    )
    plan = Plan(
        duration=count / rate,
        origin=Fraction(0),
        video_stream=0,
        frame_rate=rate,
        frame_count=count,
        gop_frames=_GOP,
        segment_frames=_GOP,
        segment_duration=_GOP / rate,
        segment_count=len(_CUTS),
        cuts=_CUTS,
        video=(rendition,),
        audio=(),
        parts=(),
    )
    made: list[EncodedSegment] = []
    segments = PictureSegments(plan, rendition, range(len(_CUTS)), encoder)
    with segments.encoder:
        for n in range(count):
            made += segments.push(n, _picture(n))
        made += segments.finish()
        header = segments.init.data
    decoded = sum(_decoded(header + segment.data, encoder) for segment in made)
    if decoded != count:
        raise EncodeError(
            f"of {count} pictures that {encoder.name!r} encoded {decoded} can be decoded", encoder=encoder.name
        )
    return hashlib.sha256(header).hexdigest()[:16]


def headers_here(plan: Plan, devices: Mapping[Codec, Device]) -> Iterator[EncodedInit]:
    """Open a card's encoders in this process, one after the other, and yield the headers of what they would make.

    Args:
        plan: What is to be made.
        devices: What encodes each codec.

    Raises:
        EncodeError: One cannot be opened with the settings of its rendition.
    """
    for rendition in on_card(plan, devices):
        segments = PictureSegments(plan, rendition, range(1), encoder_for(rendition, devices))
        with segments.encoder:
            yield segments.init


def _picture(n: int) -> av.VideoFrame:
    """Return a picture that moves: brightness rises to the right, and shifts by two pixels a frame."""
    picture = av.VideoFrame(_WIDTH, _HEIGHT, "yuv420p")
    for plane in picture.planes:
        row = bytes((x + 2 * n) % 200 + 20 for x in range(plane.line_size))
        plane.update(row * plane.height)
    return picture


def _decoded(film: bytes, encoder: PictureEncoder) -> int:
    try:
        with av.open(BytesIO(film), "r") as container:
            return len(list(container.decode(video=0)))
    except av.FFmpegError as error:
        raise EncodeError(f"what {encoder.name!r} makes cannot be decoded", encoder=encoder.name) from error
