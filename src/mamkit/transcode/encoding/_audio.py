"""Encodes an audio part: all sound tracks, decoded in one pass over the file."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedInit, EncodedSegment, Event
from mamkit.transcode.encoding._aac import AacSegments
from mamkit.transcode.encoding._timeline import Timeline
from mamkit.transcode.models import AudioRendition, Part, Plan
from mamkit.transcode.planning.plan import AAC_FRAME_SAMPLES
from mamkit.transcode.reading._decode import decode_from
from mamkit.transcode.reading.source import Source

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["encode_audio"]

_FRAMES_PER_BEAT = 500  # between signs of life: about 10 s of sound


def encode_audio(source: Source, plan: Plan, part: Part) -> Generator[Event, None, None]:
    """Encode a run of audio segments of all tracks.

    Where a track has nothing that can be decoded there is silence.

    Raises:
        MediaError: The file cannot be opened.
        EncodeError: The encoder failed.
    """
    if not plan.audio:
        raise ValueError("the plan has no audio")
    with ExitStack() as stack:
        tracks: dict[int, _Track] = {}
        for rendition in plan.audio:
            track = tracks[rendition.stream] = _Track(plan, rendition, part)
            encoder = stack.enter_context(track.segments.encoder)
            yield EncodedInit(encoder.init, encoder.header)
        stop = plan.origin + plan.duration  # what is said to come later was not planned: its time cannot be meant
        start = None if part.start == 0 else plan.origin + min(track.start for track in tracks.values())
        decoded = stack.enter_context(closing(decode_from(source, list(tracks), start)))
        for count, (stream, time, frame) in enumerate(decoded):
            if isinstance(frame, av.AudioFrame) and time <= stop:
                yield from tracks[stream].push(time - plan.origin, frame)
            if count % _FRAMES_PER_BEAT == 0:
                yield sum((track.done for track in tracks.values()), Fraction(0)) / len(tracks)
            if all(track.timeline.complete for track in tracks.values()):
                break
        for track in tracks.values():
            yield from track.finish()
    yield Fraction(1)


class _Track:
    """A timeline, and the encoder behind it."""

    def __init__(self, plan: Plan, rendition: AudioRendition, part: Part) -> None:
        self.segments = AacSegments(plan, rendition, part)
        blocks = self.segments.blocks
        self.timeline = Timeline(self.segments.layout, rendition.sample_rate, blocks)
        self.start = Fraction(blocks.start * AAC_FRAME_SAMPLES, rendition.sample_rate)
        """Where the wanted sound begins, seconds on the output's clock."""
        self._blocks = blocks
        self._pushed = 0

    @property
    def done(self) -> Fraction:
        """How much of the track's part is encoded, from 0 to 1."""
        return Fraction(self._pushed, len(self._blocks))

    def push(self, time: Fraction, frame: av.AudioFrame) -> Iterator[EncodedSegment]:
        """Take a decoded frame with its time on the output's clock; yield the segments that it completes."""
        yield from self._encode(self.timeline.push(time, frame))

    def finish(self) -> Iterator[EncodedSegment]:
        """Yield the segments that are left."""
        yield from self._encode(self.timeline.finish())
        yield from self.segments.finish()

    def _encode(self, blocks: Iterator[tuple[int, av.AudioFrame]]) -> Iterator[EncodedSegment]:
        for number, block in blocks:
            self._pushed += 1
            yield from self.segments.push(number, block)
