"""HLS playlists (RFC 8216, and its revision draft-pantos-hls-rfc8216bis), as text.

Pure functions of what a plan promises and of the segments that are finished: the same call writes the growing playlist
of a preview in the making and the final one. The names are those that every other part of mamkit writes under:

    index.m3u8  720p/index.m3u8  720p/iframes.m3u8  720p/init.mp4  720p/segment_00000.m4s  audio/index.m3u8 …
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from mamkit.transcode.models import (
    AudioRendition,
    Init,
    KeyFrame,
    Plan,
    Segment,
    SegmentFile,
    SubtitleRendition,
    VideoRendition,
)
from mamkit.transcode.packaging._bandwidth import Bandwidth

__all__ = [
    "INDEX_NAME",
    "Track",
    "iframe_playlist",
    "iframe_playlist_name",
    "init_name",
    "media_playlist",
    "media_playlist_name",
    "multivariant_playlist",
    "rendition_names",
    "segment_name",
]

INDEX_NAME = "index.m3u8"
"""The multivariant playlist; all other names are relative to the folder that it lies in."""

_INIT = "init.mp4"
_SEGMENT_HEAD = "segment_"

_VERSION = 7  # RFC 8216 section 7 asks for 6 where EXT-X-MAP stands in a media playlist, and defines up to 7
_AUDIO_GROUP = "audio"
_SUBTITLES_GROUP = "subtitles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What there is of one rendition: its initialisation segment, and the segments without a gap from the first."""

    init: Init | None
    """None of subtitles."""
    segments: Sequence[Segment]

    @property
    def rendition(self) -> str:
        """Name of the rendition.

        Raises:
            ValueError: There is neither an initialisation segment nor a segment to say it.
        """
        if self.init is None and not self.segments:
            raise ValueError("a track of nothing has no name")
        return self.init.rendition if self.init else self.segments[0].rendition

    @property
    def codecs(self) -> str:
        """RFC 6381 name of what it holds."""
        return self.init.codecs if self.init else "wvtt"

    @classmethod
    def of(cls, init: Init | None, segments: Iterable[Segment]) -> "Track":
        """Make a track of segments in any order; those after the first one that is missing are left out."""
        ordered = sorted(segments, key=lambda segment: segment.index)
        return cls(init=init, segments=[segment for place, segment in enumerate(ordered) if segment.index == place])


def init_name(rendition: str) -> str:
    """Return the name of a rendition's initialisation segment."""
    return f"{rendition}/{_INIT}"


def segment_name(rendition: str, index: int, file: SegmentFile = "m4s") -> str:
    """Return the name of a media segment."""
    return f"{rendition}/{_file(index, file)}"


def segment_name_pattern(rendition: str, number: str) -> str:
    """Return the name of a CMAF segment with placeholders for the rendition and for the number of five digits."""
    return f"{rendition}/{_SEGMENT_HEAD}{number}.m4s"


def media_playlist_name(rendition: str) -> str:
    """Return the name of a rendition's media playlist."""
    return f"{rendition}/index.m3u8"


def iframe_playlist_name(rendition: str) -> str:
    """Return the name of a rendition's playlist of key frames."""
    return f"{rendition}/iframes.m3u8"


def media_playlist(track: Track, *, plan: Plan, finished: bool) -> str:
    """Return the playlist of one rendition.

    Args:
        track: What there is of the rendition.
        plan: What it is made to.
        finished: Whether that is all of it: then the playlist is of type VOD and has an end, else of type EVENT, to
            which more may be added.

    Raises:
        ValueError: The rendition is said to be finished, and has not all segments of the plan.
    """
    _check_finished(track, plan, finished=finished)
    lines = _head(track, plan, finished=finished)
    for segment in track.segments:
        lines += [f"#EXTINF:{_decimal(segment.duration)},", _file(segment.index, segment.file)]
    return _text(lines, finished=finished)


def iframe_playlist(track: Track, *, plan: Plan, finished: bool) -> str:
    """Return the playlist of the key frames of one rendition, for fast forward and previews (RFC 8216 section 4.3.3.6).

    Each key frame lasts until the next one.

    Args:
        track: What there is of the rendition.
        plan: What it is made to.
        finished: As for `media_playlist`.

    Raises:
        ValueError: As for `media_playlist`.
    """
    _check_finished(track, plan, finished=finished)
    lines = [*_head(track, plan, finished=finished), "#EXT-X-I-FRAMES-ONLY"]
    for segment, frame, start, stop in _key_frames(track):
        lines += [
            f"#EXTINF:{_decimal(stop - start)},",
            f"#EXT-X-BYTERANGE:{frame.size}@{frame.offset}",
            _file(segment.index, segment.file),
        ]
    return _text(lines, finished=finished)


def rendition_names(plan: Plan) -> list[str]:
    """Return the names of all renditions of a plan: pictures, sound, subtitles."""
    return [
        *(video.name for video in plan.video),
        *(audio.name for audio in plan.audio),
        *(subtitles.name for subtitles in plan.subtitles),
    ]


def multivariant_playlist(plan: Plan, tracks: Iterable[Track], *, finished: bool) -> str:
    """Return the playlist that names all renditions.

    Bit rates are measured once the preview is finished, and until then those of the plan.

    Args:
        plan: What the preview is made to.
        tracks: What there is of each rendition, in any order.
        finished: Whether that is all.

    Raises:
        ValueError: A rendition of the plan has no track, or not all of its segments though all is finished.
    """
    by_name = {track.rendition: track for track in tracks}
    missing = [name for name in rendition_names(plan) if name not in by_name]
    if missing:
        raise ValueError(f"there is nothing yet of {', '.join(missing)}; wait for the first segment of every rendition")
    for track in by_name.values():
        _check_finished(track, plan, finished=finished)
    sound = [_bandwidth(rendition, by_name[rendition.name], finished=finished) for rendition in plan.audio]
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    grouped = bool(plan.video) or len(plan.audio) > 1
    if grouped:
        lines += [_tag("EXT-X-MEDIA", _media_attributes(audio)) for audio in plan.audio]
    lines += [_tag("EXT-X-MEDIA", _subtitles_attributes(subtitles)) for subtitles in plan.subtitles]
    group = {"AUDIO": _quoted(_AUDIO_GROUP)} if grouped and plan.audio else {}
    if plan.subtitles:
        group["SUBTITLES"] = _quoted(_SUBTITLES_GROUP)
    if not plan.video:
        first = plan.audio[0]
        attributes = _rate_attributes(sound[0]) | {"CODECS": _quoted(by_name[first.name].codecs)} | group
        lines += [_tag("EXT-X-STREAM-INF", attributes), media_playlist_name(first.name)]
        return _text(lines, finished=False)
    loudest = Bandwidth.of_any(sound)
    sound_codecs = sorted({by_name[audio.name].codecs for audio in plan.audio})
    for video in plan.video:
        track = by_name[video.name]
        rates = _bandwidth(video, track, finished=finished) + loudest
        attributes = _rate_attributes(rates) | {
            "CODECS": _quoted(",".join((track.codecs, *sound_codecs))),
            "RESOLUTION": f"{video.width}x{video.height}",
            "FRAME-RATE": f"{float(plan.frame_rate or 0):.3f}",
            "VIDEO-RANGE": video.video_range,
            **group,
        }
        lines += [_tag("EXT-X-STREAM-INF", attributes), media_playlist_name(video.name)]
    for video in plan.video:
        track = by_name[video.name]
        attributes = _rate_attributes(_key_frame_rates(track)) | {
            "CODECS": _quoted(track.codecs),
            "RESOLUTION": f"{video.width}x{video.height}",
            "VIDEO-RANGE": video.video_range,
            "URI": _quoted(iframe_playlist_name(video.name)),
        }
        lines.append(_tag("EXT-X-I-FRAME-STREAM-INF", attributes))
    return _text(lines, finished=False)


def _bandwidth(rendition: VideoRendition | AudioRendition, track: Track, *, finished: bool) -> Bandwidth:
    return Bandwidth.measured(track.segments) if finished else Bandwidth.planned(rendition)


def _rate_attributes(rates: Bandwidth) -> dict[str, str]:
    return {"BANDWIDTH": str(max(1, rates.peak)), "AVERAGE-BANDWIDTH": str(max(1, rates.average))}


def _key_frame_rates(track: Track) -> Bandwidth:
    """Measure the key frames that are there: one at a time is the peak, all over their time the average."""
    frames = [(frame.size, start, stop) for _, frame, start, stop in _key_frames(track)]
    peak = max((8 * size / (stop - start) for size, start, stop in frames), default=Fraction(0))
    seconds = sum((segment.duration for segment in track.segments), Fraction(0))
    return Bandwidth(math.ceil(peak), math.ceil(8 * sum(size for size, _, _ in frames) / seconds))


def _key_frames(track: Track) -> Iterator[tuple[Segment, KeyFrame, Fraction, Fraction]]:
    """Yield each key frame with its segment, when it is shown, and until when."""
    frames = [(segment, frame) for segment in track.segments for frame in segment.key_frames]
    end = sum((segment.duration for segment in track.segments), Fraction(0))
    times = [*(frame.time for _, frame in frames), end]
    for (segment, frame), (start, stop) in zip(frames, itertools.pairwise(times), strict=True):
        yield segment, frame, start, stop


def _media_attributes(audio: AudioRendition) -> dict[str, str]:
    attributes = {
        "TYPE": "AUDIO",
        "GROUP-ID": _quoted(_AUDIO_GROUP),
        "NAME": _quoted(audio.title),
        "DEFAULT": "YES" if audio.default else "NO",
        "AUTOSELECT": "YES",
        "CHANNELS": _quoted(str(audio.channels)),
        "URI": _quoted(media_playlist_name(audio.name)),
    }
    if audio.language is not None:
        attributes["LANGUAGE"] = _quoted(audio.language)
    return attributes


def _subtitles_attributes(subtitles: SubtitleRendition) -> dict[str, str]:
    attributes = {
        "TYPE": "SUBTITLES",
        "GROUP-ID": _quoted(_SUBTITLES_GROUP),
        "NAME": _quoted(subtitles.title),
        "DEFAULT": "NO",  # whose language it is chooses them; nobody else wants them unasked
        "AUTOSELECT": "YES",
        "FORCED": "YES" if subtitles.forced else "NO",
        "URI": _quoted(media_playlist_name(subtitles.name)),
    }
    if subtitles.language is not None:
        attributes["LANGUAGE"] = _quoted(subtitles.language)
    return attributes


def _head(track: Track, plan: Plan, *, finished: bool) -> list[str]:
    longest = max((segment.duration for segment in track.segments), default=Fraction(0))
    target = max(1, _rounded(plan.segment_duration), _rounded(longest))  # RFC 8216bis section 4.4.3.1
    return [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if finished else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        *([f'#EXT-X-MAP:URI="{_INIT}"'] if _has_map(track) else []),
    ]


def _has_map(track: Track) -> bool:
    return track.init is not None and all(segment.file == "m4s" for segment in track.segments[:1])


def _check_finished(track: Track, plan: Plan, *, finished: bool) -> None:
    there = len(track.segments)
    if finished and there != plan.segment_count:
        raise ValueError(f"{track.rendition!r} has {there} segments in a row, and its plan {plan.segment_count}")


def _file(index: int, file: SegmentFile) -> str:
    return f"{_SEGMENT_HEAD}{index:05d}.{file}"


def _tag(name: str, attributes: Mapping[str, str]) -> str:
    return f"#{name}:{','.join(f'{key}={value}' for key, value in attributes.items())}"


def _quoted(text: str) -> str:
    """Quote an attribute, which has no way to hold a quote, nor a control character (RFC 8216 section 4.2)."""
    return '"' + "".join(character if character.isprintable() else " " for character in text).replace('"', "'") + '"'


def _decimal(seconds: Fraction) -> str:
    """Return seconds to the microsecond."""
    return f"{round(seconds * 1_000_000) / 1_000_000:.6f}"


def _rounded(seconds: Fraction) -> int:
    """Round to the nearest whole second, halves up."""
    return math.floor(seconds + Fraction(1, 2))


def _text(lines: Iterable[str], *, finished: bool) -> str:
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if finished else []), ""])
