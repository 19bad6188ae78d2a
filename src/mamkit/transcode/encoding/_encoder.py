"""An encoder, and the initialisation segment that goes with what it makes."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from types import TracebackType
from typing import Generic, Self, TypeVar

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.models import Init
from mamkit.transcode.packaging.fmp4 import codecs, without_delay
from mamkit.transcode.reading._input import describe

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["MUXER", "Encoder", "facts_of"]

MUXER = {
    "movflags": "frag_custom+empty_moov+default_base_moof+cmaf+skip_trailer",
    "use_editlist": "0",  # it cannot know the delay yet; `without_delay` does
    "fflags": "+bitexact",  # leave out the muxer's version
}
"""Options of libav's MP4 muxer for what has no packets, only a header."""

S = TypeVar("S", bound=av.VideoStream | av.AudioStream)


class Encoder(Generic[S]):
    """An open encoder.

    The encoder stands in an MP4 muxer of libav that is given no packets: its header, written before the first frame, is
    the initialisation segment, and media segments are written by `mamkit.transcode.packaging.fmp4`. A context manager.

    Args:
        rendition: Name of the rendition, for `init`.
        timescale: Ticks per second of the track.
        frame_ticks: Ticks from one frame to the next.
        add: Adds the encoder's stream to the muxer, with all its settings.
        delay: Frames that must be decoded before the first one can be shown; what FFmpeg says if None.

    Attributes:
        name: FFmpeg's name of the encoder.
        init: The facts of the initialisation segment.
        header: The initialisation segment.
        delay: Frames that must be decoded before the first one can be shown.
        plain_header: The initialisation segment before it tells of the delay.

    Raises:
        EncodeError: The encoder refuses its settings.
    """

    def __init__(
        self,
        rendition: str,
        timescale: int,
        frame_ticks: int,
        add: Callable[[av.container.OutputContainer], S],
        *,
        delay: int | None = None,
    ) -> None:
        header = BytesIO()
        self._muxer = av.open(header, "w", format="mp4", options=MUXER | {"video_track_timescale": str(timescale)})
        self.name = ""
        try:
            self._stream = add(self._muxer)
            context = self._stream.codec_context
            self.name = context.name
            self._muxer.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            self.close()
            raise self._failed("cannot be opened", error) from error
        if delay is None:
            delay = context.reorder_depth if isinstance(context, av.VideoCodecContext) else 0
        self.delay = delay
        self.plain_header = header.getvalue()
        self.header = without_delay(self.plain_header, delay * frame_ticks)
        self.init = facts_of(rendition, self.header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def encode(self, frame: av.VideoFrame | av.AudioFrame | None) -> "list[av.Packet[S]]":
        """Return the packets that a frame completes; for None, all that are left.

        Raises:
            EncodeError: The encoder failed.
        """
        try:
            return self._stream.encode(frame)  # type: ignore[arg-type]
        except av.FFmpegError as error:
            raise self._failed("failed", error) from error

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        self._muxer.close()

    def _failed(self, how: str, error: Exception) -> EncodeError:
        detail = describe(error) if isinstance(error, av.FFmpegError) else str(error)
        return EncodeError(f"the encoder {self.name!r} {how}: {detail}", encoder=self.name, detail=detail)


def facts_of(rendition: str, header: bytes) -> Init:
    """Return the facts of an initialisation segment.

    Raises:
        ValueError: It has no track of a kind that is known.
    """
    return Init(rendition=rendition, size=len(header), codecs=codecs(header), sha256=hashlib.sha256(header).hexdigest())
