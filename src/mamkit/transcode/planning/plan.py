"""The plan of a preview: all that is decided before a frame is encoded, from the facts of the source alone.

    info = probe("holiday.mov")
    plan = make_plan(info)
    for part in plan.parts:          # in any order, by any worker
        encode_part("holiday.mov", plan, part, sink)

A plan depends on nothing but its arguments, so that whoever makes it again has the same one.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import get_args

from mamkit.transcode.errors import MediaUnsupportedError
from mamkit.transcode.models import (
    AudioRendition,
    AudioStream,
    Codec,
    Container,
    MediaInfo,
    Part,
    Plan,
    VideoRendition,
    VideoStream,
)
from mamkit.transcode.planning._copying import Copied, copied, lowered
from mamkit.transcode.planning._hdr import hdr_renditions, without_base_layer
from mamkit.transcode.planning._rates import output_rate
from mamkit.transcode.planning._tracks import audio_renditions, subtitle_renditions
from mamkit.transcode.planning.ladder import DEFAULT_LADDER, Ladder

__all__ = [
    "AAC_FRAME_SAMPLES",
    "audio_frame_range",
    "check_formats",
    "display_size",
    "frame_range",
    "make_plan",
    "segment_span",
]

AAC_FRAME_SAMPLES = 1024
"""Samples in a frame of AAC-LC (ISO/IEC 14496-3 section 4.5.1.1)."""

_GOP = Fraction(2)  # seconds between key frames: HLS Authoring Specification, rule 1.13
_GOPS_IN_SEGMENT = 3  # 6 s: rule 7.5
_FIRST_AUDIO_SEGMENTS = 4  # 24 s of sound are encoded in some tenths of a second, and playback can start
_AUDIO_SEGMENTS = 100  # ten minutes
_EARLY_SOUND = Fraction(1, 4)  # seconds; less is how streams are multiplexed, more is meant to be heard
_BROADCAST = {"mpegts", "mpeg"}  # FFmpeg's names of what is broadcast, and recorded from any moment to any other
_MISSED = Fraction(5)  # seconds of broadcast without a picture to begin with, at most: ETSI TS 101 154, access points
_LASTING = Fraction(1, 2)  # of the longest picture stream: what is shorter is no film beside it
_NO_FRAME_OF_ITS_OWN = Fraction(1, 4)  # of a frame: what an end rounded to milliseconds may be late

# What the last parts of a film are: a share of its segments, such a number of them at most, in parts of such a share of
# a large one. With the last 600 segments so, a hundred workers end within one segment's time of each other. Parts as
# small everywhere would cost more: each begins with a new process, and with decoding up to its first picture.
_TAIL = ((Fraction(1, 4), 300, 2), (Fraction(1, 8), 150, 3), (Fraction(1, 8), 150, 6))
_FEWEST = 4  # large parts that even a short film would be: with fewer, one of two workers would have the most of it


def check_formats(codecs: Sequence[Codec], container: Container, *, hdr: bool) -> None:
    """Refuse codecs and containers that no film can be made in.

    Raises:
        ValueError: There is no codec, or an unknown one; there is no such container; or transport streams are to hold
            another codec than H.264.
    """
    known = get_args(Codec)
    if isinstance(codecs, str) or not codecs or not set(codecs) <= set(known):
        raise ValueError(f"codecs must be a sequence of some of {', '.join(known)}, not {codecs!r}")
    if container not in get_args(Container):
        raise ValueError(f"container must be one of {', '.join(get_args(Container))}, not {container!r}")
    if container == "ts" and (set(codecs) != {"h264"} or hdr):  # HLS Authoring Specification, rule 1.5
        raise ValueError("transport streams hold H.264 alone")


def make_plan(
    info: MediaInfo,
    *,
    ladder: Ladder = DEFAULT_LADDER,
    part_segments: int = 6,
    artwork: bool = True,
    copy: bool = True,
    codecs: Sequence[Codec] = ("h264",),
    container: Container = "fmp4",
    hdr: bool = False,
) -> Plan:
    """Return the plan for a source.

    The largest picture stream that lasts is shown, and every sound stream becomes a track. The output lasts as long as
    the longest of them: the last picture is held, and sound is padded with silence. It begins with the first picture;
    where sound, or a picture that cannot be decoded, begins more than a quarter of a second earlier, the first one that
    can is shown as many frames longer. Only where a broadcast was cut so that it has sound alone at its beginning and
    pictures alone at its end, that sound is left out, 5 s at most.

    Args:
        info: The facts of the source.
        ladder: Which sizes and bit rates to offer.
        part_segments: Video segments (about 6 s each) in a large part, and at most a quarter of the film. The first
            part has one, so that playback starts early, and towards the end they get smaller, so that many workers are
            done at about the same time.
        artwork: Whether the last part is one for poster, storyboard and waveform.
        copy: Whether a picture that already is what the largest rendition would be is copied instead of encoded; the
            other renditions then follow its boundaries. `Plan.notes` says what was done, and why.
        codecs: What to encode pictures in: each has all sizes, and a player takes the best that it can play. H.264,
            which everything plays, comes first wherever it stands. A picture that is too small for a codec but not for
            another is not in it.
        container: What to pack pictures and sound in. Transport streams are for players that know nothing else; they
            hold H.264 alone, and there is no DASH manifest over them.
        hdr: Whether a film in HDR10 or HLG is offered as such, too, in HEVC with 10 bits. What `codecs` names is for
            every screen, in BT.709. `Plan.notes` says why there is none.

    Raises:
        MediaUnsupportedError: The picture is too small, or too narrow, for every rung of the ladder.
        ValueError: `part_segments` is less than 1, or as for `check_formats`.
    """
    if part_segments < 1:
        raise ValueError(f"a part needs at least one segment, not {part_segments}")
    check_formats(codecs, container, hdr=hdr)
    shown = _shown(info)
    audio = tuple(audio_renditions(info.audio, ladder))
    if shown is None:
        return _plan_sound(info, audio, artwork=artwork, container=container)
    rate = output_rate(shown.frame_rate, variable=shown.variable_frame_rate)
    gop_frames = round(_GOP * rate)
    segment_frames = _GOPS_IN_SEGMENT * gop_frames
    origin, problem = _origin(info, shown, rate)
    end = max((_end(info, shown), *(_end(info, stream) for stream in info.audio)))
    subtitles = tuple(subtitle_renditions(info.subtitles))
    renditions = _renditions(ladder, display_size(shown), rate, codecs)
    notes: list[str] = [problem] if problem else []
    if without_base_layer(shown):
        notes.append("colours come out wrong, because it is Dolby Vision without a base layer for others")
    if hdr:
        kept = hdr_renditions(shown, ladder, display_size(shown), rate)
        if isinstance(kept, str):
            notes.append(f"there is no rendition in HDR, because {kept}")
        else:
            renditions += kept
    found = copied(shown, renditions[0], rate, origin=origin, end=end) if copy else "that was asked for"
    if isinstance(found, Copied):
        cuts, frame_count = found.cuts, found.frame_count
        segment_count = len(cuts)
        duration = max(frame_count / rate, end - origin)
        renditions = (
            renditions[0].model_copy(update={"copied": True, "copy_delay": found.delay}),
            *lowered(renditions, shown),
        )
        note = f"{renditions[0].name} is made of the source's own packets"
    else:
        least = _least_frames(audio, 1 / rate)
        frame_count = _count((end - origin) * rate - _NO_FRAME_OF_ITS_OWN, segment=segment_frames, least=least)
        cuts, segment_count = (), -(-frame_count // segment_frames)
        duration = frame_count / rate
        note = f"{renditions[0].name} is encoded and not copied from the source, because {found}"
    return Plan(
        duration=duration,
        origin=origin,
        joins=info.joins,
        video_stream=shown.index,
        frame_rate=rate,
        container=container,
        frame_count=frame_count,
        gop_frames=gop_frames,
        segment_frames=segment_frames,
        segment_duration=segment_frames / rate,
        segment_count=segment_count,
        cuts=cuts,
        video=renditions,
        audio=audio,
        subtitles=subtitles,
        parts=_parts(
            segment_count, part_segments, picture=True, sound=bool(audio), words=bool(subtitles), artwork=artwork
        ),
        notes=(note, *notes, *info.unusable),
    )


def frame_range(plan: Plan, segment: int) -> range:
    """Return the output frames of a video segment; empty where the plan has no picture.

    Raises:
        IndexError: The plan has no such segment.
    """
    _check_segment(plan, segment)
    if plan.cuts:
        return range(plan.cuts[segment], (*plan.cuts[segment + 1 : segment + 2], plan.frame_count)[0])
    first = segment * plan.segment_frames
    return range(first, min(first + plan.segment_frames, plan.frame_count))


def audio_frame_range(plan: Plan, rendition: AudioRendition, segment: int) -> range:
    """Return the AAC frames of a segment of a sound track, counted from the track's start.

    These are the frames that start within the segment's stretch of time; frame `n` starts at `n * 1024 / sample_rate`.

    Raises:
        IndexError: The plan has no such segment.
    """
    _check_segment(plan, segment)
    frames_a_second = Fraction(rendition.sample_rate, AAC_FRAME_SAMPLES)
    start, stop = segment_span(plan, segment)
    return range(math.ceil(start * frames_a_second), math.ceil(stop * frames_a_second))


def segment_span(plan: Plan, segment: int) -> tuple[Fraction, Fraction]:
    """Return when a segment starts and stops, seconds on the output's clock.

    Raises:
        IndexError: The plan has no such segment.
    """
    _check_segment(plan, segment)
    return _segment_start(plan, segment), _segment_start(plan, segment + 1)


def display_size(stream: VideoStream) -> tuple[int, int]:
    """Return width and height of a picture as it is shown: pixels made square by their width, then turned upright."""
    width, height = max(1, round(stream.width * stream.sample_aspect_ratio)), stream.height
    return (height, width) if stream.rotation in (90, 270) else (width, height)


def _origin(info: MediaInfo, shown: VideoStream, rate: Fraction) -> tuple[Fraction, str]:
    """Return when a film begins, a whole number of frames before its first picture, and what that leaves out."""
    missed = shown.missed
    spans = [(stream.start, _end(info, stream)) for stream in info.audio]
    spans.append((shown.start - missed, _end(info, shown)))
    sound, stop = min(start for start, _ in spans), max(stop for _, stop in spans)
    longest = max(stop - start for start, stop in spans)
    early = shown.start - missed - sound
    problem = ""
    if info.container in _BROADCAST and _EARLY_SOUND < early <= _MISSED and stop - sound > longest + _EARLY_SOUND:
        problem = f"{float(early):.1f} s of sound are left out that go with pictures before the first one"
    else:
        missed += max(Fraction(0), early)
    return shown.start - (math.ceil(missed * rate) / rate if missed > _EARLY_SOUND else 0), problem


def _shown(info: MediaInfo) -> VideoStream | None:
    """Return the picture stream to show: the largest, but no cover or slide that is over long before another ends."""
    lengths = [(stream.duration or info.duration, stream) for stream in info.video]
    longest = max((length for length, _ in lengths), default=Fraction(0))
    lasting = (stream for length, stream in lengths if length >= _LASTING * longest)
    return max(lasting, key=lambda stream: stream.width * stream.height, default=None)


def _renditions(
    ladder: Ladder, size: tuple[int, int], rate: Fraction, codecs: Sequence[Codec]
) -> tuple[VideoRendition, ...]:
    found: list[VideoRendition] = []
    problem: MediaUnsupportedError | None = None
    for codec in sorted(set(codecs), key=("h264", "hevc", "av1").index):
        try:
            found += ladder.renditions(*size, rate, codec)
        except MediaUnsupportedError as error:
            problem = problem or error
    if problem is not None and not found:
        raise problem
    return tuple(found)


def _plan_sound(info: MediaInfo, audio: tuple[AudioRendition, ...], *, artwork: bool, container: Container) -> Plan:
    """Plan a source without pictures: the segments keep to the grid of the first track's AAC frames."""
    frame = Fraction(AAC_FRAME_SAMPLES, audio[0].sample_rate)
    segment = round(_GOPS_IN_SEGMENT * _GOP / frame)
    origin = min(stream.start for stream in info.audio)
    end = max(_end(info, stream) for stream in info.audio)
    frames = _count((end - origin) / frame, segment=segment, least=_least_frames(audio, frame))
    segment_count = -(-frames // segment)
    return Plan(
        duration=frames * frame,
        origin=origin,
        joins=info.joins,
        video_stream=None,
        frame_rate=None,
        container=container,
        frame_count=0,
        gop_frames=0,
        segment_frames=0,
        segment_duration=segment * frame,
        segment_count=segment_count,
        video=(),
        audio=audio,
        parts=_parts(segment_count, _AUDIO_SEGMENTS, picture=False, sound=True, words=False, artwork=artwork),
        notes=info.unusable,
    )


def _end(info: MediaInfo, stream: VideoStream | AudioStream) -> Fraction:
    return info.start + info.duration if stream.duration is None else stream.start + stream.duration


def _count(length: Fraction, *, segment: int, least: int) -> int:
    """Return how many frames cover `length` frames, such that the last segment holds `least` of them or more."""
    count = max(1, math.ceil(length))
    tail = count % segment
    return count + max(0, least - tail) if tail else count


def _least_frames(audio: tuple[AudioRendition, ...], frame: Fraction) -> int:
    """Return how many frames of so many seconds a segment needs so that an AAC frame of each track starts within it."""
    longest = max((Fraction(AAC_FRAME_SAMPLES, track.sample_rate) for track in audio), default=frame)
    return math.ceil(longest / frame)


def _parts(segments: int, run: int, *, picture: bool, sound: bool, words: bool, artwork: bool) -> tuple[Part, ...]:
    """Split a film so that it can be played from the start while the rest is being made."""
    video = _spans(segments, 1, _sizes(segments - 1, run)) if picture else ()
    audio = _spans(segments, _FIRST_AUDIO_SEGMENTS, itertools.repeat(_AUDIO_SEGMENTS)) if sound else ()
    parts = [
        *(Part(index=0, kind="video", start=start, stop=stop) for start, stop in video),
        *(Part(index=0, kind="audio", start=start, stop=stop) for start, stop in audio),
    ]
    if words:  # read in one go, and needed before anything is shown
        parts.append(Part(index=0, kind="subtitles", start=0, stop=segments))
    # The first picture before the first sound, and later on no picture before the sound that goes with it.
    parts.sort(key=lambda part: (part.start, (part.kind == "audio") == (part.start == 0)))
    if artwork:  # last: nobody waits for it
        parts.append(Part(index=0, kind="artwork", start=0, stop=segments))
    return tuple(part.model_copy(update={"index": index}) for index, part in enumerate(parts))


def _spans(segments: int, first: int, sizes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Cut `range(segments)` into a first run and then runs of these sizes; the last one may be shorter."""
    start = 0
    for size in itertools.chain([first], sizes):
        if start >= segments:
            return
        yield start, min(start + size, segments)
        start += size


def _sizes(segments: int, run: int) -> Iterator[int]:
    """Yield how many of so many segments each part has: large ones first, and then ever smaller ones."""
    run = min(run, max(1, -(-segments // _FEWEST)))
    tail = [(min(int(segments * share), most), -(-run // divisor)) for share, most, divisor in _TAIL]
    large = segments - sum(count for count, _ in tail)
    for count, size in ((large, run), *tail):
        yield from (min(size, count - done) for done in range(0, count, size))


def _segment_start(plan: Plan, segment: int) -> Fraction:
    """Return when a segment starts, seconds; of the one after the last, when the film ends."""
    if segment == plan.segment_count:
        return plan.duration
    return plan.cuts[segment] / plan.frame_rate if plan.cuts and plan.frame_rate else segment * plan.segment_duration


def _check_segment(plan: Plan, segment: int) -> None:
    if not 0 <= segment < plan.segment_count:
        raise IndexError(f"the plan has {plan.segment_count} segments, and none with the index {segment}")
