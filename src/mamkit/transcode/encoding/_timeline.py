"""Lays decoded sound on the sample grid of the output."""

from collections.abc import Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.planning.plan import AAC_FRAME_SAMPLES
from mamkit.transcode.reading._input import describe

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["SAMPLE_FORMAT", "Timeline"]

SAMPLE_FORMAT = "fltp"
"""FFmpeg's name of what its AAC encoder takes: floats, a plane for each channel."""

_TOLERANCE = Fraction(1, 25)
"""Seconds that timestamps may stray from where the samples before them end. More is a gap or an overlap in the
recording. Less is jitter: moving the sound for it would be heard as clicks. So far may sound and picture drift apart
before the sound is moved, and viewers do not notice it (EBU R 37: sound up to 40 ms early or 60 ms late)."""

_SETTLING = Fraction(1, 2)
"""Seconds of sound from which the place of a run is found. Timestamps are often rounded to milliseconds; the middle of
their errors over so many frames is the place to a sample or so, and parts that begin to decode elsewhere agree."""


class Timeline:
    """Makes whole blocks of sound from decoded frames with timestamps: gaps become silence, and overlaps are cut.

    Args:
        layout: FFmpeg's name of the channel layout of the output.
        rate: Samples per second of the output.
        blocks: Numbers of the wanted blocks, step 1. Block `n`, which may be negative, holds the 1024 samples from
            `n * 1024` on, counted from the output's zero.
    """

    def __init__(self, layout: str, rate: int, blocks: range) -> None:
        self._layout = layout
        self._rate = rate
        self._blocks = blocks
        self._made = 0
        self._next = blocks.start * AAC_FRAME_SAMPLES
        """Where the next sample to be laid stands."""
        self._laid = av.AudioFifo()
        self._run: _Run | None = None

    @property
    def complete(self) -> bool:
        """Whether all blocks have been made."""
        return self._made == len(self._blocks)

    def push(self, time: Fraction, frame: av.AudioFrame) -> Iterator[tuple[int, av.AudioFrame]]:
        """Lay a frame that is heard at a time in seconds; yield the numbers and contents of the blocks it completes."""
        if self._run is not None and not self._run.continues(time, frame):
            yield from self._end_run()
        if self._run is None:
            self._run = _Run(time, frame, self._layout, self._rate)
        yield from self._lay(self._run.take(time, frame))

    def finish(self) -> Iterator[tuple[int, av.AudioFrame]]:
        """Yield the blocks that are left, filled up with silence."""
        yield from self._end_run()
        yield from self._silence(until=self._blocks.stop * AAC_FRAME_SAMPLES)

    def _end_run(self) -> Iterator[tuple[int, av.AudioFrame]]:
        if self._run is not None:
            yield from self._lay(self._run.finish())
            self._run = None

    def _lay(self, placed: list[tuple[int, av.AudioFrame]]) -> Iterator[tuple[int, av.AudioFrame]]:
        for start, frame in placed:
            if start + frame.samples <= self._next:
                continue
            yield from self._silence(until=start)
            yield from self._append(_without_head(frame, self._next - start))

    def _silence(self, *, until: int) -> Iterator[tuple[int, av.AudioFrame]]:
        while self._next < until and not self.complete:
            frame = av.AudioFrame(SAMPLE_FORMAT, self._layout, min(AAC_FRAME_SAMPLES, until - self._next))
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = self._rate
            yield from self._append(frame)

    def _append(self, frame: av.AudioFrame) -> Iterator[tuple[int, av.AudioFrame]]:
        self._next += frame.samples
        frame.pts = None
        frame.time_base = Fraction(1, self._rate)
        self._laid.write(frame)
        while not self.complete and (block := self._laid.read(AAC_FRAME_SAMPLES)) is not None:
            number = self._blocks[self._made]
            self._made += 1
            yield number, block


class _Run:
    """Sound without gaps: frames of one format whose timestamps agree with the number of samples before them.

    It is held back until its place has settled.
    """

    def __init__(self, time: Fraction, first: av.AudioFrame, layout: str, rate: int) -> None:
        self._format = _format(first)
        self._input_rate = first.sample_rate
        self._rate = rate
        self._start = time
        self._strayed = Fraction(0), Fraction(0)
        self._taken = 0
        # Floats may exceed full scale, so that FFmpeg does not turn down what it mixes: decoders would clip it.
        options = {"rematrix_maxval": "1.0"}
        self._resampler = av.AudioResampler(format=SAMPLE_FORMAT, layout=layout, rate=rate, options=options)
        self._held: list[av.AudioFrame] = []
        self._place: int | None = None

    def continues(self, time: Fraction, frame: av.AudioFrame) -> bool:
        """Return whether a frame belongs to the run."""
        return _format(frame) == self._format and abs(time - self._end) <= _TOLERANCE

    def take(self, time: Fraction, frame: av.AudioFrame) -> list[tuple[int, av.AudioFrame]]:
        """Add a frame; return what can be laid, each with the place of its first sample."""
        if self._place is None:
            low, high = self._strayed
            error = time - self._start - self._length
            self._strayed = min(low, error), max(high, error)
        self._taken += frame.samples
        self._convert(frame)
        return self._release() if self._place is not None or self._length >= _SETTLING else []

    def finish(self) -> list[tuple[int, av.AudioFrame]]:
        """Return what is left."""
        self._convert(None)
        return self._release()

    @property
    def _length(self) -> Fraction:
        return Fraction(self._taken, self._input_rate)

    @property
    def _end(self) -> Fraction:
        """Where the samples end if the run starts in the middle between what the timestamps say."""
        return self._start + (self._strayed[0] + self._strayed[1]) / 2 + self._length

    def _convert(self, frame: av.AudioFrame | None) -> None:
        if frame is not None:
            frame.pts = None
        try:
            converted: list[av.AudioFrame | None] = [*self._resampler.resample(frame)]
        except av.FFmpegError as error:
            name, layout, rate = self._format
            detail = describe(error)
            raise EncodeError(
                f"sound of {rate} Hz, {layout!r} and {name!r} cannot be converted: {detail}", detail=detail
            ) from error
        # A resampler that has nothing to do gives back what it is given, also None.
        self._held += [made for made in converted if made is not None and made.samples]

    def _release(self) -> list[tuple[int, av.AudioFrame]]:
        if self._place is None:
            self._place = round((self._end - self._length) * self._rate)
        placed = []
        for frame in self._held:
            placed.append((self._place, frame))
            self._place += frame.samples
        self._held = []
        return placed


def _format(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _without_head(frame: av.AudioFrame, samples: int) -> av.AudioFrame:
    """Return a frame without its first samples."""
    if samples <= 0:
        return frame
    queue = av.AudioFifo()
    queue.write(frame)
    queue.read(samples)
    rest = queue.read()
    if rest is None:
        raise ValueError(f"a frame of {frame.samples} samples has none after {samples}")
    return rest
