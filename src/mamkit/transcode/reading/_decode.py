"""Decoding from a given time on, whatever state the file is in."""

import heapq
import itertools
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from mamkit.errors import MissingExtraError
from mamkit.transcode.reading import _adts
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading.source import Source

try:
    import av
    from av.container import InputContainer
    from av.stream import Discard
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Decoded", "decodable", "decode_from", "decode_until_end", "seek"]

AvStream = av.VideoStream | av.AudioStream

_LEAD = Fraction(1, 2)
"""Seconds before the wanted time at which decoding begins if it can: some sound decoders need 80 ms (Opus, RFC 7845
section 4.6) until their output is right, and demuxers that seek by decode time land a few pictures late. Pictures alone
are tried without: a part that begins at a key frame is spared the group before it."""

_LEAD_GROWTH = 8

_MOST_UNUSED_TIMES = 256  # a decoder holds back 16 pictures at most, and one a thread


class Decoded(NamedTuple):
    """A decoded frame."""

    stream: int
    """Index of its stream in the container."""
    time: Fraction
    """Presentation time on the container's clock, seconds."""
    frame: av.VideoFrame | av.AudioFrame


def decode_from(
    source: Source, streams: Sequence[int], time: Fraction | None, *, late: Fraction = Fraction(0)
) -> Generator[Decoded, None, None]:
    """Yield the frames of some streams from a time on, in the order in which the file has them.

    Some frames before the time come first, so that nothing of what is shown at that time is missing: if a seek lands
    too late, on nothing at all, or is not possible, an earlier one is tried, and at last the whole file is read. What
    cannot be decoded is left out. An error of the file in the middle of it is taken for its end.

    Args:
        source: The file.
        streams: Indices of streams of pictures or of sound.
        time: Seconds on the container's clock; None for all that there is.
        late: Seconds after the time before which the first frame must be, if it is not before the time itself.

    Raises:
        MediaError: The file cannot be opened, as for `open_source`.
    """
    with open_source(source) as container:
        chosen, moved = decodable(container, streams), False
        if time is not None and chosen and container.format.name == _adts.NAME:  # times are counted from the beginning
            yield from decode_until_end(container, chosen, since=time - _LEAD)
            return
        if time is not None and chosen:
            for start in _starts(container, time, exactly=all(isinstance(each, av.VideoStream) for each in chosen)):
                moved = True
                if not seek(container, chosen[0], start):
                    break
                frames = decode_until_end(container, chosen)
                first = next(frames, None)
                early = first is not None and (first.time <= time or first.time < time + late)
                if first is not None and early and (start < time or not _is_fields(first.frame)):
                    yield first
                    yield from frames
                    return
                frames.close()
        if not moved:  # it stands at the beginning, where it was opened: the index of a long film is read once
            if chosen:
                yield from decode_until_end(container, chosen)
            return
    with open_source(source) as container:
        if chosen := decodable(container, streams):
            yield from decode_until_end(container, chosen)


def decodable(container: InputContainer, indices: Sequence[int]) -> list[AvStream]:
    """Return the streams that are picture or sound and have a decoder; all others are not even read."""
    chosen: list[AvStream] = []
    for stream in container.streams:
        if stream.index not in indices:
            stream.discard = Discard.all
        elif isinstance(stream, av.VideoStream | av.AudioStream) and stream.codec_context is not None:
            chosen.append(stream)
    return chosen


def _starts(container: InputContainer, time: Fraction, *, exactly: bool) -> Iterator[Fraction]:
    """Yield ever earlier times at which to begin, as long as they lie within the file; the time itself if wanted."""
    begin = Fraction(container.start_time or 0, av.time_base)
    leads = itertools.chain([Fraction(0)] if exactly else [], (_LEAD * _LEAD_GROWTH**n for n in itertools.count()))
    return itertools.takewhile(lambda start: start > begin, (time - lead for lead in leads))


def _is_fields(frame: av.VideoFrame | av.AudioFrame) -> bool:
    """Return whether it is a picture of two fields: to make it whole takes the picture before it, too."""
    return isinstance(frame, av.VideoFrame) and frame.interlaced_frame


def seek(container: InputContainer, stream: AvStream, time: Fraction) -> bool:
    """Go to the last key frame at or before a time; return whether the demuxer can."""
    if stream.time_base is None:
        return False
    try:
        container.seek(int(time / stream.time_base), stream=stream)
    except MemoryError:
        raise
    except av.FFmpegError:
        return False
    return True


def decode_until_end(
    container: InputContainer, streams: Sequence[AvStream], *, since: Fraction | None = None
) -> Generator[Decoded, None, None]:
    """Yield all frames from where the container stands, or those of packets from a time on."""
    decode_times_only = container.format.name == "avi"  # whose presentation times are FFmpeg's guesses
    clocks = {stream.index: _Clock(stream, trusted=not decode_times_only) for stream in streams}
    begin = {} if since is None else {stream.index: int(since / (stream.time_base or 1)) for stream in streams}
    for stream, packet in _packets(container, streams):
        clock = clocks[stream.index]
        if packet is not None:
            if begin and packet.pts is not None and packet.pts < begin[stream.index]:
                continue
            clock.announce(packet)
        try:
            frames = stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except av.FFmpegError:
            clock.strike_out()
            continue
        for frame in frames:
            yield Decoded(stream.index, clock.time(frame), frame)


def _packets(
    container: InputContainer, streams: Sequence[AvStream]
) -> Iterator[tuple[AvStream, "av.Packet[Any] | None"]]:
    """Yield packets with their streams, and at the end a None for each stream, to empty its decoder."""
    try:
        for packet in packets(container, *streams):
            if packet.size and isinstance(packet.stream, AvStream):
                yield packet.stream, packet
    except MemoryError:
        raise
    except av.FFmpegError:
        pass
    for stream in streams:
        yield stream, None


class _Clock:
    """Tells the time of frames, also of those that have no presentation time.

    Pictures come out in the order in which they are shown, and as many as went in. So the earliest decode time that is
    not used yet is that of the next one, but for a delay that is the same for all: it is known from those that have
    both times, and none where there are decode times only.

    Args:
        stream: The stream of the frames.
        trusted: Whether the presentation times of pictures come from the file.
    """

    def __init__(self, stream: AvStream, *, trusted: bool) -> None:
        self._is_sound = isinstance(stream, av.AudioStream)
        self._trusted = trusted or self._is_sound
        self._decode_times: list[int] = []
        self._delay = 0
        self._begun = False
        self._unit = stream.time_base or Fraction(1, av.time_base)
        self._next = stream.start_time * self._unit if stream.start_time is not None else Fraction(0)
        rate = stream.average_rate or stream.guessed_rate if isinstance(stream, av.VideoStream) else None
        self._frame = 1 / rate if rate else Fraction(1, 25)

    def announce(self, packet: "av.Packet[Any]") -> None:
        """Note a packet that goes into the decoder."""
        if packet.is_keyframe and not self._begun:
            self._begun = True
            self._decode_times.clear()  # of a recording that is cut between key frames, none of those before is shown
        wanted = packet.pts is None or not self._is_sound  # a packet may be several frames of sound
        if wanted and packet.dts is not None and len(self._decode_times) < _MOST_UNUSED_TIMES:
            heapq.heappush(self._decode_times, packet.dts)

    def strike_out(self) -> None:
        """Note that a packet became no frame."""
        if self._decode_times:
            heapq.heappop(self._decode_times)

    def time(self, frame: av.VideoFrame | av.AudioFrame) -> Fraction:
        """Return the presentation time of the next frame that came out, seconds on the container's clock."""
        self._begun = True
        stamp = frame.pts if self._trusted else None
        if (stamp is None or not self._is_sound) and self._decode_times:
            decoded = heapq.heappop(self._decode_times)
            if stamp is None:
                stamp = decoded + self._delay
            else:
                self._delay = stamp - decoded
        time = self._next if stamp is None else stamp * self._unit
        length = Fraction(frame.samples, frame.sample_rate) if isinstance(frame, av.AudioFrame) else self._frame
        self._next = time + length
        return time
