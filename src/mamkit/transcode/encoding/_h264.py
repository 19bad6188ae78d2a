"""One rendition's pictures to H.264 segments, cut on the grid of the whole film."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedSegment
from mamkit.transcode.encoding._encoder import Encoder
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.models import KeyFrame, Plan, Segment, VideoRendition
from mamkit.transcode.packaging.fmp4 import Sample, fragment, length_prefixed

try:
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["H264Segments"]


@cache
def _assembly() -> str:
    """Return the parameter that makes x264 do without AVX-512, on machines that have it; otherwise nothing.

    Its AVX-512 code for the lookahead reads memory that nobody has written, and so gives other bytes each time. With
    AVX2 the bytes are those of all older processors, and it is no slower.
    """
    try:
        return ":asm=avx2" if "avx512" in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace") else ""
    except OSError:  # no Linux, or shut away from it
        return ""


class H264Segments:
    """Encodes the frames of a part for one rendition.

    Frames are numbered on the grid of the whole film, and groups of pictures are closed, begin on its multiples of
    `Plan.gop_frames` and carry their absolute time: parts encoded apart join without a seam. Frame `n` is shown, and if
    it is a key frame also decoded, exactly `n` frames after the film's start.

    The same frames give the same bytes, on any number of cores.

    Args:
        plan: What the whole film becomes.
        rendition: The rendition to make.
        frames: The frames that will be pushed, a run of whole segments.
    """

    def __init__(self, plan: Plan, rendition: VideoRendition, frames: range) -> None:
        if plan.frame_rate is None:
            raise ValueError("the plan has no video")
        self._plan = plan
        self._rendition = rendition
        self._rate = plan.frame_rate
        self._stop = frames.stop
        # At least 1000 ticks a second, so that what readers round to ticks stays exact to a millisecond.
        scale = -(-1000 // self._rate.numerator)
        self._timescale = self._rate.numerator * scale
        self._frame_ticks = self._rate.denominator * scale
        self._gop: list[av.Packet[av.VideoStream]] = []
        self._gop_start = frames.start
        self._fragments: list[bytes] = []
        self._key_frames: list[KeyFrame] = []
        self.encoder = Encoder(rendition.name, self._timescale, self._frame_ticks, self._add_stream)

    def push(self, n: int, picture: av.VideoFrame) -> Iterator[EncodedSegment]:
        """Encode frame `n`, a picture of the rendition's size in `yuv420p`; yield the segments that it completes."""
        picture.pts = n
        picture.time_base = 1 / self._rate
        picture.pict_type = av.video.frame.PictureType.NONE  # a key frame of the source is none here
        return self._take(self.encoder.encode(picture))

    def finish(self) -> Iterator[EncodedSegment]:
        """Yield the segments that are left."""
        yield from self._take(self.encoder.encode(None))
        yield from self._end_gop()

    def _take(self, packets: "list[av.Packet[av.VideoStream]]") -> Iterator[EncodedSegment]:
        for packet in packets:
            if packet.is_keyframe and self._gop:
                yield from self._end_gop()
            self._gop.append(packet)

    def _end_gop(self) -> Iterator[EncodedSegment]:
        plan, first, gop = self._plan, self._gop_start, self._gop
        stop = min(first + plan.gop_frames, self._stop)
        times = [packet.pts for packet in gop if packet.pts is not None]
        if times[:1] != [first] or sorted(times) != list(range(first, stop)):
            raise EncodeError(
                f"the encoder {self.encoder.name!r} did not end its group of pictures at frame {stop}",
                encoder=self.encoder.name,
            )
        made = fragment(
            [
                Sample(length_prefixed(bytes(packet)), (time - first - i + self.encoder.delay) * self._frame_ticks)
                for i, (packet, time) in enumerate(zip(gop, times, strict=True))
            ],
            duration=self._frame_ticks,
            decode_time=first * self._frame_ticks,
            sequence=first // plan.gop_frames + 1,
            all_sync=False,
        )
        self._key_frames.append(
            KeyFrame(
                offset=sum(map(len, self._fragments)),
                size=made.first_sample_end,
                time=Fraction(first) / self._rate,
            )
        )
        self._fragments.append(made.data)
        self._gop, self._gop_start = [], stop
        if stop % plan.segment_frames == 0 or stop == self._stop:
            yield self._end_segment(stop)

    def _end_segment(self, stop: int) -> EncodedSegment:
        index = (stop - 1) // self._plan.segment_frames
        data = b"".join(self._fragments)
        facts = Segment(
            rendition=self._rendition.name,
            index=index,
            duration=(stop - index * self._plan.segment_frames) / self._rate,
            size=len(data),
            key_frames=tuple(self._key_frames),
        )
        self._fragments, self._key_frames = [], []
        return EncodedSegment(facts, data)

    def _add_stream(self, muxer: av.container.OutputContainer) -> av.VideoStream:
        rendition, gop = self._rendition, self._plan.gop_frames
        stream = muxer.add_stream("libx264", rate=self._rate)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = rendition.width, rendition.height, "yuv420p"
        context.time_base = 1 / self._rate
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.ITU709
        context.color_trc = ColorTrc.BT709
        context.color_primaries = ColorPrimaries.BT709
        context.bit_rate = rendition.bit_rate
        context.thread_count = 1  # with more, x264's rate control depends on which of them is ahead
        context.options = {
            "preset": "veryfast",
            "profile": "high",
            "maxrate": str(rendition.max_bit_rate),
            "bufsize": str(2 * rendition.bit_rate),
            "a53cc": "0",  # captions do not survive that frames are dropped and repeated
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0{_assembly()}",
        }
        return stream
