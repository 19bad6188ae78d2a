"""One rendition's pictures to segments, cut on the grid of the whole film."""

from collections.abc import Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedInit, EncodedSegment
from mamkit.transcode.encoding._encoder import Encoder, facts_of
from mamkit.transcode.encoding._headers import fitted, is_shared, shared
from mamkit.transcode.encoding._segments import Clock, SegmentWriter
from mamkit.transcode.encoding.encoders import ENCODERS, STAND_IN, PictureEncoder
from mamkit.transcode.models import Plan, VideoRange, VideoRendition
from mamkit.transcode.picture._picture import PIXEL_FORMATS
from mamkit.transcode.planning.plan import frame_range

try:
    import av
    from av.video.frame import PictureType
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["PictureSegments"]

_BT2020_NCL = 9  # of the matrices, which PyAV has no name for

# Matrix, transfer and primaries as ITU-T H.273 numbers them (tables 4, 3 and 2): BT.709, and BT.2100 with PQ or HLG.
_COLOURS: dict[VideoRange, tuple[int, int, int]] = {
    "SDR": (Colorspace.ITU709, ColorTrc.BT709, ColorPrimaries.BT709),
    "PQ": (_BT2020_NCL, ColorTrc.SMPTE2084, ColorPrimaries.BT2020),
    "HLG": (_BT2020_NCL, ColorTrc.ARIB_STD_B67, ColorPrimaries.BT2020),
}


class PictureSegments:
    """Encodes the frames of a part for one rendition.

    Frames are numbered on the grid of the whole film, and groups of pictures are closed, begin every `Plan.gop_frames`
    from the start of each segment on and carry their absolute time: parts encoded apart join without a seam. Frame `n`
    is shown, and if it is a key frame also decoded, exactly `n` frames after the film's start.

    The same frames give the same bytes, on any number of cores.

    Args:
        plan: What the whole film becomes.
        rendition: The rendition to make.
        segments: Which segments, a run, whose frames will all be pushed.
        encoder: What encodes.
        header: The initialisation segment of the rendition, where other parts have made one; none if None.

    Attributes:
        init: The initialisation segment: the one given, or what this encoder and its stand-in begin with.

    Raises:
        EncodeError: The encoder refuses its settings, or what it makes does not go with `header`.
    """

    def __init__(
        self,
        plan: Plan,
        rendition: VideoRendition,
        segments: range,
        encoder: PictureEncoder,
        *,
        header: bytes | None = None,
    ) -> None:
        if plan.frame_rate is None:
            raise ValueError("the plan has no video")
        self._plan = plan
        self._rendition = rendition
        self._rate = plan.frame_rate
        is_card = encoder is ENCODERS.get(("h264", "nvenc"))
        if header is not None and not is_card and encoder.sample_entry == "avc1" and is_shared(header):
            encoder = STAND_IN
        self._kind = encoder
        self._key_frames = {
            first
            for frames in (frame_range(plan, index) for index in segments)
            for first in range(frames.start, frames.stop, plan.gop_frames)
        }
        self._gop: list[tuple[int, bytes]] = []
        clock = Clock(plan.frame_rate)
        self.encoder = Encoder(rendition.name, clock.timescale, clock.frame, self._add_stream, delay=self._kind.delay)
        try:
            made, delay = self.encoder.header, self.encoder.delay
            if is_card:
                made, delay = self._shared(clock)
            if header is not None and made != header:
                made, delay = header, fitted(self.encoder, header, clock.frame)
        except BaseException:
            self.encoder.close()
            raise
        self.init = EncodedInit(facts_of(rendition.name, made), made)
        self._writer = SegmentWriter(plan, rendition.name, segments, maker=self.encoder.name, delay=delay, header=made)

    def _shared(self, clock: Clock) -> tuple[bytes, int]:
        """Return what the card and the processor both begin with: where the card fails later, nothing else fits."""
        card, self._kind = self._kind, STAND_IN
        try:
            with Encoder(self._rendition.name, clock.timescale, clock.frame, self._add_stream) as stand_in:
                return shared(self.encoder, stand_in, clock.frame)
        finally:
            self._kind = card

    def push(self, n: int, picture: av.VideoFrame) -> Iterator[EncodedSegment]:
        """Encode frame `n`, a picture as `scaler` gives it for the rendition; yield the segments that it completes."""
        picture.pts = n
        picture.time_base = 1 / self._rate
        # A key frame of the source is none here.
        picture.pict_type = PictureType.I if n in self._key_frames else PictureType.NONE
        return self._take(self.encoder.encode(picture))

    def finish(self) -> Iterator[EncodedSegment]:
        """Yield the segments that are left."""
        yield from self._take(self.encoder.encode(None))
        yield from self._end_gop()
        self._writer.check_complete()

    def _take(self, packets: "list[av.Packet[av.VideoStream]]") -> Iterator[EncodedSegment]:
        for packet in packets:
            if packet.is_keyframe:
                yield from self._end_gop()
            if packet.pts is not None:
                self._gop.append((packet.pts, self._kind.stored(bytes(packet))))

    def _end_gop(self) -> Iterator[EncodedSegment]:
        group, self._gop = self._gop, []
        if group:
            yield from self._writer.write(group)

    def _add_stream(self, muxer: av.container.OutputContainer) -> av.VideoStream:
        rendition = self._rendition
        stream = muxer.add_stream(self._kind.name, rate=self._rate)
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"{self._kind.name!r} encodes no pictures")
        context = stream.codec_context
        context.codec_tag = self._kind.sample_entry
        context.width, context.height = rendition.width, rendition.height
        context.pix_fmt = PIXEL_FORMATS[rendition.video_range]
        context.time_base = 1 / self._rate
        context.framerate = Fraction(self._rate)
        context.color_range = ColorRange.MPEG
        context.colorspace, context.color_trc, context.color_primaries = _COLOURS[rendition.video_range]
        context.bit_rate = rendition.bit_rate
        context.thread_count = 1  # with more, x264's rate control depends on which of them is ahead
        context.options = self._kind.options(rendition, self._plan.gop_frames)
        return stream
