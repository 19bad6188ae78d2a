"""How many bits per second a player must be able to load: planned at first, measured once all is there."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mamkit.transcode.models import AudioRendition, Segment, VideoRendition

__all__ = ["Bandwidth"]

_MUXING = Fraction(105, 100)  # what fragments add to a planned bit rate, and what the encoder may miss it by


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bits per second of a variant."""

    peak: int
    average: int

    def __add__(self, other: "Bandwidth") -> "Bandwidth":
        return Bandwidth(self.peak + other.peak, self.average + other.average)

    @classmethod
    def planned(cls, rendition: VideoRendition | AudioRendition) -> "Bandwidth":
        """Return what is planned of a rendition in the making."""
        peak = rendition.max_bit_rate if isinstance(rendition, VideoRendition) else rendition.bit_rate
        return cls(round(peak * _MUXING), round(rendition.bit_rate * _MUXING))

    @classmethod
    def measured(cls, segments: Sequence[Segment]) -> "Bandwidth":
        """Measure all segments of a finished rendition.

        The peak is that of the fastest segment, not counting those shorter than half of the longest: RFC 8216 section
        4.3.4.2 measures over runs of half to one and a half target durations.
        """
        longest = max(segment.duration for segment in segments)
        fastest = max(8 * segment.size / segment.duration for segment in segments if 2 * segment.duration >= longest)
        seconds = sum((segment.duration for segment in segments), Fraction(0))
        average = 8 * sum(segment.size for segment in segments) / seconds
        return cls(math.ceil(max(fastest, average)), math.ceil(average))

    @classmethod
    def of_any(cls, alternatives: Iterable["Bandwidth"]) -> "Bandwidth":
        """Return the most that one of several tracks, played together with the picture, may take."""
        rates = list(alternatives)
        return cls(max((rate.peak for rate in rates), default=0), max((rate.average for rate in rates), default=0))
