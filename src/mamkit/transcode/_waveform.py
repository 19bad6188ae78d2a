"""How loud a film is along its time: the lowest and the highest sample of each stretch, and a picture of them."""

import math
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._decode import decodable, decode_from, decode_until_end, seek
from mamkit.transcode._input import open_source
from mamkit.transcode._still import png
from mamkit.transcode.source import AnySource

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["SAMPLE_RATE", "WaveformMeter", "waveform_image"]

SAMPLE_RATE = 8_000
"""Samples per second that are looked at: enough to see how loud it is."""

_MOST_PEAKS = 1_000
_WHOLE = 20 * 60  # seconds; up to here all of the sound is decoded, in two seconds or so
_GLANCE = Fraction(1, 4)  # seconds at the beginning of each stretch that a longer film is looked at for
_FRAMES_PER_BEAT = 500
_LEAD = Fraction(1, 10)  # seconds that decoders of sound need until their output is right
_HEIGHT = 128  # pixels of the picture
_COLOUR = bytes((0x5B, 0x8D, 0xEF, 0xFF))  # red, green, blue, opacity


class WaveformMeter:
    """Measures one sound stream of a file.

    Of a film longer than 20 minutes, each stretch is judged by its first quarter of a second, so that the work does not
    grow with the film; where a file cannot be sought in, all of it is decoded.

    Args:
        source: The file.
        stream: Index of the stream.
        origin: Time of the waveform's zero on the container's clock, seconds.
        duration: Seconds that it lasts.
    """

    def __init__(self, source: AnySource, stream: int, origin: Fraction, duration: Fraction) -> None:
        self._source = source
        self._stream = stream
        self._origin = origin
        self._duration = duration
        samples = max(1, math.ceil(duration * SAMPLE_RATE))
        self.samples_per_peak = -(-samples // _MOST_PEAKS)
        count = -(-samples // self.samples_per_peak)
        self._low, self._high = [0] * count, [0] * count
        self._resampler: av.AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None

    @property
    def peaks(self) -> list[tuple[int, int]]:
        """Lowest and highest sample of each stretch, -128 to 127."""
        return [(low >> 8, high >> 8) for low, high in zip(self._low, self._high, strict=True)]

    def measure(self) -> Iterator[Fraction]:
        """Do the work; yield how much of it is done, from 0 to 1."""
        if self._duration > _WHOLE:
            seekable = False
            for done in self._glance():
                seekable = True
                yield done
            if seekable:
                return
        for count, decoded in enumerate(decode_from(self._source, [self._stream], None)):
            if isinstance(decoded.frame, av.AudioFrame):
                self._add(decoded.time - self._origin, decoded.frame)
            if count % _FRAMES_PER_BEAT == 0:
                yield min(Fraction(1), max(Fraction(0), (decoded.time - self._origin) / self._duration))

    def _glance(self) -> Iterator[Fraction]:
        """Look at the beginning of each stretch; yield nothing where the file cannot be sought in."""
        stretch = Fraction(self.samples_per_peak, SAMPLE_RATE)
        with open_source(self._source) as container:
            chosen = decodable(container, [self._stream])
            for n in range(len(self._low)):
                begin = self._origin + n * stretch
                if not chosen or not seek(container, chosen[0], max(self._origin, begin - _LEAD)):
                    return
                self._format = None
                for decoded in decode_until_end(container, chosen):
                    if decoded.time >= begin + _GLANCE:
                        break
                    if decoded.time >= begin and isinstance(decoded.frame, av.AudioFrame):
                        self._add(decoded.time - self._origin, decoded.frame)
                yield Fraction(n + 1, len(self._low))

    def _add(self, time: Fraction, frame: av.AudioFrame) -> None:
        """Note a frame that is heard at a time in seconds from the waveform's zero."""
        looks = frame.format.name, frame.layout.name, frame.sample_rate
        if self._resampler is None or self._format != looks:
            self._resampler, self._format = av.AudioResampler("s16", "mono", SAMPLE_RATE), looks
        at = round(time * SAMPLE_RATE)
        frame.pts = None
        for made in self._resampler.resample(frame):
            samples = array("h", bytes(made.planes[0])[: 2 * made.samples])
            self._note(at, samples)
            at += len(samples)

    def _note(self, at: int, samples: "array[int]") -> None:
        begin = max(0, -at)
        while begin < len(samples):
            peak, within = divmod(at + begin, self.samples_per_peak)
            if peak >= len(self._low):
                return
            run = samples[begin : begin + self.samples_per_peak - within]
            self._low[peak] = min(self._low[peak], *run)
            self._high[peak] = max(self._high[peak], *run)
            begin += len(run)


def waveform_image(peaks: Sequence[tuple[int, int]]) -> bytes:
    """Return a PNG of peaks, -128 to 127, one pixel wide each, on nothing: a line of one pixel where it is silent."""
    width, middle = len(peaks), _HEIGHT // 2
    pixels = bytearray(4 * width * _HEIGHT)
    for x, (low, high) in enumerate(peaks):
        for y in range(middle - 1 - high * (middle - 1) // 127, middle - low * (middle - 1) // 128):
            pixels[4 * (y * width + x) : 4 * (y * width + x) + 4] = _COLOUR
    return png(bytes(pixels), width, _HEIGHT)
