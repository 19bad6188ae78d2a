"""One sound track to AAC segments, cut on the frame grid of the whole track."""

from collections.abc import Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedSegment
from mamkit.transcode.encoding._encoder import Encoder
from mamkit.transcode.encoding._timeline import SAMPLE_FORMAT
from mamkit.transcode.models import AudioRendition, Part, Plan, Segment
from mamkit.transcode.packaging.fmp4 import Sample, fragment
from mamkit.transcode.packaging.mpegts import AacTrack
from mamkit.transcode.planning.plan import AAC_FRAME_SAMPLES, audio_frame_range

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["AacSegments"]

_PRE_ROLL = 3
"""Frames encoded before the part's first, and thrown away. A frame is decoded together with half of the one before it,
and the encoder's choices depend on those before; after three the seam is no worse than any place within a part."""

_POST_ROLL = 2
"""Frames put in after the part's last: a frame is made of its own samples and the next 1024, with an eye on more."""


class AacSegments:
    """Encodes the sound of a part for one track.

    Frame `n` holds the samples from `n * 1024` on, counted from the output's zero, with nothing left of the encoder's
    delay: parts encoded apart join without a seam.

    Args:
        plan: What the whole film becomes.
        rendition: The track to make.
        part: Whose segments to make.
    """

    def __init__(self, plan: Plan, rendition: AudioRendition, part: Part) -> None:
        self._rendition = rendition
        transport = plan.container == "ts"
        self._transport = AacTrack(rendition.sample_rate, rendition.channels) if transport else None
        self._segments = [(index, audio_frame_range(plan, rendition, index)) for index in range(part.start, part.stop)]
        self._wanted = range(self._segments[0][1].start, self._segments[-1][1].stop)
        self._samples: list[Sample] = []
        self.blocks = range(self._wanted.start - _PRE_ROLL, self._wanted.stop + _POST_ROLL)
        """Numbers of the blocks of samples that `push` wants, in order."""
        self.layout = "mono" if rendition.channels == 1 else "stereo"
        """FFmpeg's name of the channel layout that `push` wants."""
        self.encoder = Encoder(rendition.name, rendition.sample_rate, AAC_FRAME_SAMPLES, self._add_stream)

    def push(self, number: int, block: av.AudioFrame) -> Iterator[EncodedSegment]:
        """Encode a block of 1024 samples; yield the segments that it completes."""
        block.pts = number * AAC_FRAME_SAMPLES
        return self._take(self.encoder.encode(block))

    def finish(self) -> Iterator[EncodedSegment]:
        """Yield the segments that are left."""
        return self._take(self.encoder.encode(None))

    def _take(self, packets: "list[av.Packet[av.AudioStream]]") -> Iterator[EncodedSegment]:
        for packet in packets:
            if packet.pts is None or packet.pts // AAC_FRAME_SAMPLES not in self._wanted:
                continue
            self._samples.append(Sample(bytes(packet)))
            index, frames = self._segments[0]
            if len(self._samples) == len(frames):
                yield self._segment(index, frames)
                self._samples = []
                del self._segments[0]

    def _segment(self, index: int, frames: range) -> EncodedSegment:
        data = self._packed(index, frames)
        facts = Segment(
            rendition=self._rendition.name,
            index=index,
            duration=Fraction(len(frames) * AAC_FRAME_SAMPLES, self._rendition.sample_rate),
            size=len(data),
            file="ts" if self._transport else "m4s",
        )
        return EncodedSegment(facts, data)

    def _packed(self, index: int, frames: range) -> bytes:
        if self._transport is not None:
            return self._transport.run(frames.start, [sample.data for sample in self._samples])
        return fragment(
            self._samples,
            duration=AAC_FRAME_SAMPLES,
            decode_time=frames.start * AAC_FRAME_SAMPLES,
            sequence=index + 1,
            all_sync=True,
        ).data

    def _add_stream(self, muxer: av.container.OutputContainer) -> av.AudioStream:
        stream = muxer.add_stream("aac", rate=self._rendition.sample_rate)
        context = stream.codec_context
        context.layout = self.layout
        context.format = SAMPLE_FORMAT
        context.bit_rate = self._rendition.bit_rate
        context.time_base = Fraction(1, self._rendition.sample_rate)
        # FFmpeg's default, `twoloop`, now and then spoils a frame (2 dB of signal to noise between neighbours of 23).
        context.options = {"aac_coder": "fast"}
        return stream
