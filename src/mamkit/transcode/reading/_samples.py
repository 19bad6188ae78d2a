"""The samples of an MP4 or QuickTime track as its tables list them: times, sizes and places, without reading any.

The boxes are those of ISO/IEC 14496-12:2022, to which each number here refers. A film of an hour has a hundred thousand
samples, and somebody waits: tables are neither copied nor made into lists, whose memory takes as long as the work.
"""

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, islice, pairwise, starmap
from operator import add, mul, sub
from typing import Literal, TypeVar

__all__ = ["Places", "SampleTable", "boxes", "movie_duration", "sample_table"]

_Bytes = TypeVar("_Bytes", bytes, memoryview)

_MOST_SAMPLES = 1 << 20  # 9 hours at 30 frames a second; more would take seconds to look at
_VISUAL_FIELDS = 8 + 78  # bytes of VisualSampleEntry before its boxes, with its own header: section 12.1.3


class Places:
    """Where the samples of a track lie: chunks, in each of them so many samples behind each other (section 8.7.4).

    A place is worked out when it is asked for: a film of an hour has a hundred thousand, and few of them matter.

    Args:
        starts: Of each chunk, bytes from the start of the file.
        first_chunks: Of each run of chunks with equally many samples, counted from 0.
        lengths: How many samples each chunk of a run has.
        sizes: Of all samples, bytes.

    Raises:
        ValueError: The runs are not in order, or the chunks have more samples than there are, or fewer.
    """

    def __init__(
        self, starts: Sequence[int], first_chunks: Sequence[int], lengths: Sequence[int], sizes: Sequence[int]
    ) -> None:
        bounds = [*first_chunks, len(starts)]
        if not first_chunks or bounds[0] != 0 or any(first > stop for first, stop in pairwise(bounds)):
            raise ValueError("the runs of chunks are not in order")
        self._starts, self._first_chunks, self._lengths, self._sizes = starts, first_chunks, lengths, sizes
        self._first_samples: list[int] = [0, *accumulate(map(mul, map(sub, bounds[1:], bounds), lengths))]
        if self._first_samples.pop() != len(sizes):
            raise ValueError("the chunks have more samples than there are, or fewer")

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> int:
        """Return the first byte of a sample, from the start of the file."""
        run = bisect_right(self._first_samples, index) - 1
        nth, within = divmod(index - self._first_samples[run], self._lengths[run])
        return self._starts[self._first_chunks[run] + nth] + sum(self._sizes[index - within : index])

    def end(self) -> int:
        """Return where the chunk ends that begins last: a file that is shorter than that is cut short."""
        if not self._sizes:
            return 0
        chunk = self._starts.index(max(self._starts))
        run = bisect_right(self._first_chunks, chunk) - 1
        length = self._lengths[run]
        first = self._first_samples[run] + (chunk - self._first_chunks[run]) * length
        return self._starts[chunk] + sum(self._sizes[first : first + length])


@dataclass(frozen=True, slots=True)
class SampleTable:
    """The samples of a track in decode order.

    Attributes:
        timescale: Ticks per second.
        composition: Composition times, ticks, before any edit.
        sizes: Bytes.
        places: Where they lie.
        sync: Indices of the sync samples.
        entry: Name and boxes of the one sample entry.
        edits: How long each lasts, ticks of the movie's timescale, and at which composition time it begins.
        movie_timescale: Ticks per second of the movie.
    """

    timescale: int
    composition: Sequence[int]
    sizes: Sequence[int]
    places: Places
    sync: Sequence[int]
    entry: tuple[bytes, bytes]
    edits: Sequence[tuple[int, int]]
    movie_timescale: int


def sample_table(movie: bytes, track_id: int) -> SampleTable | None:
    """Return the samples of a track; None where its tables are not there, not whole, or longer than is sensible.

    Args:
        movie: The body of a `moov` box.
        track_id: Number of the track in its header.
    """
    try:
        whole = memoryview(movie)
        for name, track in boxes(whole):
            if name == b"trak" and _track_id(track) == track_id:
                return _read(whole, track)
    except (struct.error, ValueError, LookupError):
        return None
    return None


def movie_duration(movie: bytes) -> Fraction | None:
    """Return how many seconds a movie says that it lasts (section 8.2.2); None where it does not say.

    Args:
        movie: The body of a `moov` box.
    """
    try:
        header = _path(memoryview(movie), b"mvhd")
        ticks = int.from_bytes(header[24:32] if header[0] == 1 else header[16:20])
        return Fraction(ticks, _timescale(header)) or None
    except (ValueError, LookupError):
        return None


def _read(movie: memoryview, track: memoryview) -> SampleTable:
    media = _path(track, b"mdia")
    tables = dict(boxes(_path(media, b"minf", b"stbl")))
    sizes = _sizes(tables[b"stsz"])
    composition = _composition(tables, len(sizes))
    sync = tables.get(b"stss")
    if sync is not None:
        (count,) = struct.unpack_from(">I", sync, 4)
        indices: Sequence[int] = [number - 1 for number in _numbers("I", sync, 8, count)]
    else:
        indices = range(len(sizes))
    if any(not 0 <= index < len(sizes) for index in indices):
        raise ValueError("a sync sample is none of the track's")
    return SampleTable(
        timescale=_timescale(_path(media, b"mdhd")),
        composition=composition,
        sizes=sizes,
        places=_places(tables, sizes),
        sync=indices,
        entry=_entry(tables[b"stsd"]),
        edits=_edits(track),
        movie_timescale=_timescale(_path(movie, b"mvhd")),
    )


def boxes(data: _Bytes) -> Iterator[tuple[bytes, _Bytes]]:
    """Yield the names and contents of the boxes of which some bytes consist; a box that is cut short is left out."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            return
        yield name, data[at + 8 : at + size]
        at += size


def _path(data: memoryview, *names: bytes) -> memoryview:
    for wanted in names:
        found = next((body for name, body in boxes(data) if name == wanted), None)
        if found is None:
            raise ValueError(f"there is no {wanted!r} box")
        data = found
    return data


def _track_id(track: memoryview) -> int:
    header = _path(track, b"tkhd")
    return int.from_bytes(header[20:24] if header[0] == 1 else header[12:16])  # section 8.3.2


def _timescale(header: memoryview) -> int:
    """Read `mdhd` or `mvhd`, which begin alike (sections 8.4.2 and 8.2.2)."""
    scale = int.from_bytes(header[20:24] if header[0] == 1 else header[12:16])
    if scale == 0:
        raise ValueError("a timescale of zero")
    return scale


def _sane(count: int) -> int:
    if count > _MOST_SAMPLES:
        raise ValueError(f"{count} samples")
    return count


def _sizes(box: memoryview) -> Sequence[int]:
    same, count = struct.unpack_from(">II", box, 4)  # section 8.7.3
    return array("I", [same]) * _sane(count) if same else _numbers("I", box, 12, count)


def _numbers(kind: Literal["I", "Q", "i"], box: memoryview, at: int, count: int) -> "array[int]":
    """Read so many numbers of a table, of 4 bytes or (`Q`) 8 each."""
    found = array(kind)
    stop = at + found.itemsize * _sane(count)
    if stop > len(box):
        raise ValueError("a table that is cut short")
    found.frombytes(box[at:stop])
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _composition(tables: dict[bytes, memoryview], count: int) -> Sequence[int]:
    decode = accumulate(_runs(tables[b"stts"]), initial=0)
    shown: Iterator[int] = map(add, decode, _runs(tables[b"ctts"])) if b"ctts" in tables else decode
    times = array("q", islice(shown, count))
    if len(times) != count:
        raise ValueError("there are not as many times as sizes")
    return times


def _runs(box: memoryview) -> "array[int]":
    """Return the value of each sample from a table of runs: `stts` or `ctts` (sections 8.6.1.2 and 8.6.1.3)."""
    (count,) = struct.unpack_from(">I", box, 4)
    flat = _numbers("I", box, 8, 2 * _sane(count))
    _sane(sum(flat[0::2]))
    # As bytes, as they stand: of a film with B-frames there is a run for almost every sample.
    values = b"".join(starmap(mul, struct.iter_unpack(">I4s", box[8 : 8 + 8 * count])))
    # Version 0 of `ctts` is unsigned by the standard, and signed as QuickTime's writers and readers take it.
    return _numbers("i", memoryview(values), 0, len(values) // 4)


def _places(tables: dict[bytes, memoryview], sizes: Sequence[int]) -> Places:
    wide = b"co64" in tables
    offsets = tables[b"co64" if wide else b"stco"]
    (chunks,) = struct.unpack_from(">I", offsets, 4)
    starts = _numbers("Q" if wide else "I", offsets, 8, chunks)
    (count,) = struct.unpack_from(">I", tables[b"stsc"], 4)
    runs = _numbers("I", tables[b"stsc"], 8, 3 * count)
    return Places(starts, [number - 1 for number in runs[0::3]], runs[1::3], sizes)


def _entry(box: memoryview) -> tuple[bytes, bytes]:
    (count,) = struct.unpack_from(">I", box, 4)
    if count != 1:
        raise ValueError(f"{count} sample entries")
    size, name = struct.unpack_from(">I4s", box, 8)
    return name, bytes(box[8 + _VISUAL_FIELDS : 8 + size])


def _edits(track: memoryview) -> Sequence[tuple[int, int]]:
    try:
        box = _path(track, b"edts", b"elst")
    except ValueError:
        return ()
    (count,) = struct.unpack_from(">I", box, 4)
    layout = ">Qqi" if box[0] == 1 else ">Iii"  # section 8.6.6
    size = struct.calcsize(layout)
    return [(length, begin) for length, begin, _ in struct.iter_unpack(layout, box[8 : 8 + size * _sane(count)])]
