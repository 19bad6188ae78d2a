"""Whether the packets of a picture stream can go to players as they are.

That takes a film of which it is known where every frame is: by the tables of MP4 and QuickTime, or because the packets
of Matroska and transport streams are read through. It must be progressive H.264 at a constant rate, in groups of
pictures that stand alone and are short enough. Everything is looked up before anything is promised, because once the
other renditions follow the film's own boundaries there is no way back.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import accumulate, groupby, pairwise
from operator import sub
from typing import BinaryIO

from mamkit.transcode.models import Copyable, VideoStream
from mamkit.transcode.reading._encryption import read_movie_box
from mamkit.transcode.reading._frames import Frames
from mamkit.transcode.reading._packets import are_known, begin_with_idr, header_units, nal_units, packet_frames
from mamkit.transcode.reading._samples import SampleTable, sample_table
from mamkit.transcode.reading.source import Source, fetch_ahead, open_bytes, size_of

__all__ = ["LONGEST_GROUP", "copyable"]

LONGEST_GROUP = Fraction(2)
"""Seconds from key frame to key frame at most: HLS Authoring Specification, rule 1.13."""

_LISTED = ("mov",)  # how FFmpeg's names of demuxers begin: of those with tables of all frames,
_READ = ("matroska", "mpegts")  # and of those that are read through

_WINDOW = Fraction(6)  # seconds over which the peak is measured: rule 7.5, a segment
_PROFILES = {"Constrained Baseline", "Main", "High"}
_MOST_JITTER = Fraction(1, 4)  # of a frame, that a time may be off the grid of the constant rate
_HEAD = 1 << 16  # bytes of a key frame that are looked at: parameter sets and messages come before the picture
_LOOKED_AT = 16  # key frames of a film, spread over all of it: far apart in a store, and somebody waits
_HEADERS_OF_AVCC = 4  # byte with the size of the lengths: ISO/IEC 14496-15 section 5.3.3.1


def copyable(source: Source, container: str, stream: VideoStream, track_id: int) -> Copyable | str:
    """Return what copying a stream needs to know, or in a few words why it has to be encoded.

    Args:
        source: The file.
        container: FFmpeg's name of the demuxer.
        stream: The facts of the stream.
        track_id: Number of its track in the file.
    """
    listed = container.startswith(_LISTED)
    reason = _by_its_facts(stream)
    if not listed and not container.startswith(_READ):
        reason = "it is not in MP4, QuickTime, Matroska or a transport stream"
    if reason:
        return reason
    with open_bytes(source) as file:
        frames = _listed(source, file, track_id, stream.frame_rate) if listed else packet_frames(source, stream.index)
        return frames if isinstance(frames, str) else _grouped(frames, stream.frame_rate)


def _by_its_facts(stream: VideoStream) -> str:
    plain = stream.codec == "h264" and stream.profile in _PROFILES and stream.pixel_format == "yuv420p"
    other_colours = stream.hdr is not None or stream.color_range == "pc" or stream.color_primaries == "bt2020"
    reasons = (
        (not plain, " ".join(f"it is {stream.codec} {stream.profile or ''} in {stream.pixel_format}".split())),
        (stream.variable_frame_rate, "its frame rate varies"),
        (stream.interlaced, "it is interlaced"),
        (bool(stream.rotation) or stream.mirrored, "it has to be turned"),
        (stream.sample_aspect_ratio != 1, "its pixels are not square"),
        (other_colours, "its colours have to be converted"),
    )
    return next((reason for applies, reason in reasons if applies), "")


def _listed(source: Source, file: BinaryIO, track_id: int, rate: Fraction) -> Frames | str:
    """Return the frames of a track of MP4 or QuickTime by its tables, or why they are not all shown as they are."""
    size = size_of(source)
    table = sample_table(read_movie_box(file, size), track_id)
    if table is None:
        return "it has no table of all its frames"
    if table.entry[0] != b"avc1":
        return f"it is stored as {table.entry[0].decode('ascii', 'replace')}"
    if table.places.end() > size:
        return "it is cut short"
    avcc = _avcc(table.entry[1])
    if avcc is None or not table.composition:
        return "it does not begin with a key frame"
    is_idr = partial(_is_idr, file, table, (avcc[_HEADERS_OF_AVCC] & 3) + 1, header_units(avcc))
    tick = Fraction(1, table.timescale)
    edited = _edited(table, len(table.sizes), rate)
    return edited or Frames(
        times=table.composition,
        tick=tick,
        sizes=table.sizes,
        sync=table.sync,
        is_idr=is_idr,
        fetch=lambda indices: fetch_ahead(source, [_head(table, index) for index in indices]),
    )


def _numbers(frames: Frames, rate: Fraction) -> Sequence[int] | str:
    """Return which frame of the constant rate each sample is, in decode order, or why they are no such frames."""
    # In whole numbers, and for all at once: a film of an hour has some hundred thousand frames.
    many, frame = (frames.tick * rate).as_integer_ratio()  # ticks of a frame, times the numerator
    twice, scale = 2 * frame, 2 * many
    half = frame - scale * min(frames.times, default=0)  # so that the division rounds
    most = math.floor(2 * _MOST_JITTER * frame)
    if any(abs(rest - frame) > most for rest in {(scale * time + half) % twice for time in frames.times}):
        return "its frames do not keep to the rate"
    numbers = array("q", ((scale * time + half) // twice for time in frames.times))
    if not numbers or max(numbers) != len(numbers) - 1 or not _are_all(numbers):
        return "it has gaps, or frames at the same time"
    return numbers


def _are_all(numbers: Sequence[int]) -> bool:
    """Return whether numbers from 0 to one less than there are of them include each of these."""
    seen = bytearray(len(numbers))
    for number in numbers:
        seen[number] = 1
    return all(seen)


def _edited(table: SampleTable, count: int, rate: Fraction) -> str:
    """Return why an edit list leaves other frames than all of them; nothing if it does not."""
    if not table.edits:
        return ""
    length, begin = table.edits[0]
    shown = Fraction(length, table.movie_timescale) * rate  # 0 stands for all, section 8.6.6
    late = abs(Fraction(begin - min(table.composition), table.timescale)) * rate
    if len(table.edits) > 1 or late > _MOST_JITTER or (length and shown < count - 1 + _MOST_JITTER):
        return "it is cut by an edit list"
    return ""


def _grouped(frames: Frames, rate: Fraction) -> Copyable | str:
    numbers = _numbers(frames, rate)
    if isinstance(numbers, str):
        return numbers
    starts = _starts(frames.sync, numbers)
    longest = round(LONGEST_GROUP * rate)
    if not starts or starts[0] != 0:
        return "it does not begin with a key frame"
    chosen = [0]
    while len(numbers) - chosen[-1] > longest:
        start = starts[bisect_right(starts, chosen[-1] + longest) - 1]
        if start == chosen[-1]:
            return f"its key frames are more than {float(LONGEST_GROUP):g} s apart"
        chosen.append(start)
    some = _some(chosen)
    frames.fetch(some)
    if not all(map(frames.is_idr, some)):
        return "its key frames are not all IDR pictures, or its parameter sets change"
    lengths = list(map(sub, [*chosen[1:], len(numbers)], chosen))
    before = array("q", accumulate(frames.sizes, initial=0))
    return Copyable(
        groups=tuple((len(list(run)), length) for length, run in groupby(lengths)),
        delay=max(map(sub, range(len(numbers)), numbers)),
        bit_rate=round(8 * before[-1] * rate / len(numbers)),
        peak_bit_rate=_peak(chosen, before, rate),
    )


def _starts(sync: Sequence[int], numbers: Sequence[int]) -> list[int]:
    """Return the sync samples that part what is shown, and decoded, before from what is after: of closed groups.

    As the frames have all numbers from 0 on, that is so where none of those before has a larger one than the last.
    """
    starts, latest = [], -1
    for before, at in pairwise([0, *sorted(sync)]):
        latest = max(latest, max(numbers[before:at], default=-1))
        if latest == at - 1 and numbers[at] == at:
            starts.append(at)
    return starts


def _some(indices: Sequence[int]) -> list[int]:
    """Return all of them or, of many, the first, the last and others at even distances."""
    last = len(indices) - 1
    places = range(_LOOKED_AT) if last >= _LOOKED_AT else range(last + 1)
    return [indices[last * place // max(1, len(places) - 1)] for place in places]


def _avcc(boxes: bytes) -> bytes | None:
    at = boxes.find(b"avcC")
    return boxes[at + 4 :] if at >= 4 and len(boxes) > at + 4 + _HEADERS_OF_AVCC else None


def _head(table: SampleTable, index: int) -> tuple[int, int]:
    """Return where what is looked at of a key frame begins and ends."""
    return table.places[index], table.places[index] + min(table.sizes[index], _HEAD)


def _is_idr(file: BinaryIO, table: SampleTable, length_size: int, sets: frozenset[bytes], index: int) -> bool:
    """Return whether a sample is an IDR picture that is decoded with the parameter sets of the header."""
    start, stop = _head(table, index)
    file.seek(start)
    units = nal_units(file.read(stop - start), length_size)
    return are_known(units, sets) and begin_with_idr(units)


def _peak(chosen: Sequence[int], before: Sequence[int], rate: Fraction) -> int:
    """Return the most bits per second of any run of groups that a segment may be made of."""
    window, last = int(_WINDOW * rate), len(before) - 1
    peak = 0.0
    for start in chosen:
        stop = last if last - start <= window else chosen[bisect_right(chosen, start + window) - 1]
        if 2 * (stop - start) >= window or start == 0:  # a short end is no measure: RFC 8216 section 4.3.4.2
            peak = max(peak, (before[stop] - before[start]) / (stop - start))
    return round(8 * peak * rate)
