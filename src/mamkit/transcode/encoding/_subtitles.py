"""Makes WebVTT of all subtitle tracks that are text, in one pass over the file."""

from collections import defaultdict
from collections.abc import Generator, Iterator
from fractions import Fraction

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedArt, EncodedSegment, Event
from mamkit.transcode.models import ArtFile, Part, Plan, Segment
from mamkit.transcode.packaging.mpegts import START
from mamkit.transcode.packaging.webvtt import Cue, from_ass, webvtt, whole_name
from mamkit.transcode.planning.plan import segment_span
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading.source import Source

try:
    import av
    from av.stream import Discard
    from av.subtitles.subtitle import AssSubtitle
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["encode_subtitles"]

_MOST_TEXT = 8 << 20  # characters of a track: a film has some 50,000, and a lie none
_UNTIMED = Fraction(5)  # seconds that a cue without an end is shown, unless the next one comes sooner
_PACKETS_PER_BEAT = 2_000  # between signs of life, in files that have to be read through


def encode_subtitles(source: Source, plan: Plan, part: Part) -> Generator[Event, None, None]:
    """Make the segments of all subtitle tracks, and each track in one file.

    What cannot be decoded is left out: a track of which that is everything has no cues.

    Raises:
        MediaError: The file cannot be opened.
    """
    cues: dict[int, list[Cue]] = defaultdict(list)
    lengths: dict[int, int] = defaultdict(int)
    for found in _cues(source, plan):
        if isinstance(found, Fraction):
            yield found
            continue
        stream, cue = found
        lengths[stream] += len(cue.text)
        if lengths[stream] <= _MOST_TEXT:
            cues[stream].append(cue)
    for track in plan.subtitles:
        ended = list(_ended(sorted(cues[track.stream]), plan.duration))
        for index in range(part.start, part.stop):
            start, stop = segment_span(plan, index)
            data = webvtt(ended, segment=(start, stop), shift=START if plan.container == "ts" else 0).encode()
            facts = Segment(rendition=track.name, index=index, duration=stop - start, size=len(data), file="vtt")
            yield EncodedSegment(facts, data)
        data = webvtt(ended).encode()
        yield EncodedArt(ArtFile(name=whole_name(track.name), size=len(data)), data)
    yield Fraction(1)


def _cues(source: Source, plan: Plan) -> Iterator[tuple[int, Cue] | Fraction]:
    """Yield cues with the indices of their streams (those without an end stop where they start), and signs of life."""
    wanted = {track.stream for track in plan.subtitles}
    with open_source(source) as container:
        tabled = "mp4" in container.format.name  # where the other streams need not be read
        for stream in container.streams:
            if stream.index not in wanted and (tabled or stream.index != plan.video_stream):
                stream.discard = Discard.all
        found = packets(container)
        for count in range(1 << 62):
            try:
                packet = next(found, None)
            except MemoryError:
                raise
            except av.FFmpegError:  # a broken place
                return
            if packet is None:
                return
            if count % _PACKETS_PER_BEAT == 0:
                yield Fraction(0)
            if packet.stream.index not in wanted or not packet.size or packet.pts is None:
                continue
            unit = packet.stream.time_base or Fraction(1, 1000)
            start = packet.pts * unit - plan.origin
            text = _text(packet)
            if text:
                yield packet.stream.index, Cue(start, start + (packet.duration or 0) * unit, text)


def _text(packet: "av.Packet[av.stream.Stream]") -> str:
    try:
        events = packet.decode()
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        return ""
    texts = [from_ass(event.ass.decode(errors="replace")) for event in events if isinstance(event, AssSubtitle)]
    return "\n".join(text for text in texts if text)


def _ended(cues: list[Cue], duration: Fraction) -> Iterator[Cue]:
    """Yield the cues that are shown within the film, each with an end."""
    for place, cue in enumerate(cues):
        following = cues[place + 1].start if place + 1 < len(cues) else duration
        stop = cue.stop if cue.stop > cue.start else min(cue.start + _UNTIMED, following)
        start, stop = max(cue.start, Fraction(0)), min(stop, duration)
        if start < stop:
            yield Cue(start, stop, cue.text)
