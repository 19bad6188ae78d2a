"""The tracks of sound and of subtitles, with names and titles that do not repeat."""

import itertools
from collections.abc import Iterator

from mamkit.transcode.models import AudioRendition, AudioStream, SubtitleRendition, SubtitleStream
from mamkit.transcode.planning._languages import web_tag
from mamkit.transcode.planning.ladder import Ladder

__all__ = ["audio_renditions", "subtitle_renditions"]

_KEPT_SAMPLE_RATES = (44_100, 48_000)
_TEXT = {"subrip", "mov_text", "ass", "webvtt", "text"}  # FFmpeg's names; the others are pictures


def audio_renditions(streams: tuple[AudioStream, ...], ladder: Ladder) -> Iterator[AudioRendition]:
    """Yield a track for each stream, the default one first."""
    default = next((stream for stream in streams if stream.default), streams[0] if streams else None)
    ordered = sorted(streams, key=lambda stream: (stream is not default, stream.index))
    titles: set[str] = set()
    for number, stream in enumerate(ordered, 1):
        mono = stream.channels == 1
        yield AudioRendition(
            name="audio" if number == 1 else f"audio-{number}",
            stream=stream.index,
            sample_rate=stream.sample_rate if stream.sample_rate in _KEPT_SAMPLE_RATES else _KEPT_SAMPLE_RATES[-1],
            channels=1 if mono else 2,
            bit_rate=ladder.mono_bit_rate if mono else ladder.stereo_bit_rate,
            language=web_tag(stream.language),
            title=_title(stream, f"Audio {number}", titles),
            default=number == 1,
        )


def subtitle_renditions(streams: tuple[SubtitleStream, ...]) -> Iterator[SubtitleRendition]:
    """Yield a track for each stream that is text."""
    titles: set[str] = set()
    for number, stream in enumerate((stream for stream in streams if stream.codec in _TEXT), 1):
        yield SubtitleRendition(
            name="subtitles" if number == 1 else f"subtitles-{number}",
            stream=stream.index,
            language=web_tag(stream.language),
            title=_title(stream, f"Subtitles {number}", titles),
            forced=stream.forced,
        )


def _title(stream: AudioStream | SubtitleStream, otherwise: str, taken: set[str]) -> str:
    """Return a title that is not taken yet (RFC 8216 section 4.3.4.1.1: unique within the group), and take it."""
    title = " ".join((stream.title or web_tag(stream.language) or otherwise).split())
    if title in taken:
        numbered = (f"{title} ({n})" for n in itertools.count(2))
        title = next(candidate for candidate in numbered if candidate not in taken)
    taken.add(title)
    return title
