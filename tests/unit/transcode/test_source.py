"""Sources of which ranges are read: from a store, through the parent, into a child that has no network."""

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import (
    ChildProtocolError,
    Children,
    EmptyFileError,
    MediaUnreadableError,
    NoMediaError,
    Part,
    encode_part,
    make_plan,
    probe,
)
from mamkit.transcode.containment import _conversation
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading.source import MOST_AHEAD, MOST_AT_ONCE, CachedRanges, fetch_ahead, open_bytes
from tests.media_factory import make_clip
from tests.unit.transcode.tree import Tree, encode

QUIET = 2100  # pictures: more than a probe reads of a large film's beginning


class Ranges:
    """A file as a store gives it, and account of what was read."""

    def __init__(self, data: bytes, name: str = "film.mp4") -> None:
        self.name, self.size = name, len(data)
        self.asked: list[tuple[int, int]] = []
        self._data = data

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= self.size
        self.asked.append((start, stop))
        return self._data[start:stop]

    @property
    def total(self) -> int:
        return sum(stop - start for start, stop in self.asked)


@pytest.mark.parametrize(("suffix", "gop"), [("mp4", 16), ("ts", 40)])
def test_a_child_makes_the_same_of_ranges_as_of_a_file(tmp_path: Path, suffix: str, gop: int) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", seconds=7, rate=10, width=128, height=72, gop=gop, b_frames=2)
    ranges = Ranges(clip.read_bytes(), clip.name)
    info = probe(ranges)
    assert info == probe_here(clip)
    plan = make_plan(info)
    assert plan.video[0].copied == (suffix == "mp4")
    here, there = encode(clip, plan), Tree()
    for part in plan.parts:
        encode_part(ranges, plan, part, there)
    assert there.segments == here.segments
    assert there.art_files == here.art_files


@pytest.mark.parametrize("suffix", ["mov", "mkv", "ts"])
def test_a_part_reads_its_share_and_the_index(tmp_path: Path, suffix: str) -> None:
    """Matroska is sought in by its cues, and a transport stream by halves on its clock."""
    bare: dict[str, Any] = {"codec": "v210", "pixel_format": "yuv422p10le"}
    if suffix != "mov":  # the others know no bare pictures
        bare = {
            "codec": "mpeg2video",
            "gop": 10,
            "options": {"b": "8M", "minrate": "8M", "maxrate": "8M", "bufsize": "2M"},
        }
    clip = make_clip(
        tmp_path / f"clip.{suffix}", seconds=48, rate=10 if suffix == "mov" else 25, width=192, height=108,
        audio=False, picture=lambda n, width, height: bytes([n % 256]) * (3 * width * height), **bare,
    )  # fmt: skip
    plan = make_plan(probe_here(clip))
    assert plan.segment_count == 8
    for index in (0, 4, 7):
        ranges = Ranges(clip.read_bytes(), clip.name)
        encode_part(ranges, plan, Part(index=0, kind="video", start=index, stop=index + 1), Tree())
        assert ranges.total <= ranges.size / 8 + 2 * MOST_AHEAD, f"part {index} read {ranges.total}"
        assert len(ranges.asked) < 30


def test_what_a_reader_raises_reaches_the_caller(tmp_path: Path) -> None:
    class Gone(Ranges):
        def read(self, start: int, stop: int) -> bytes:
            if start:
                raise ConnectionResetError("the store has gone")
            return super().read(start, stop)

    clip = make_clip(
        tmp_path / "clip.mov", seconds=1, rate=10, width=320, height=180, codec="v210", pixel_format="yuv422p10le"
    )
    assert clip.stat().st_size > 256 << 10
    with pytest.raises(ConnectionResetError, match="the store has gone"):
        probe(Gone(clip.read_bytes()))


@pytest.mark.parametrize("body", [[0, 0], [-1, 5], [5, 4], [0, 101], [0, 1, 2], "all", None, [0.0, 1.0]])
def test_a_child_gets_no_bytes_that_are_none_of_the_source(body: object) -> None:
    with pytest.raises(ChildProtocolError, match="must not have"):
        _conversation._range(body, Ranges(bytes(100)))


def test_a_child_gets_no_more_at_once_than_it_needs() -> None:
    class Endless(Ranges):
        def __init__(self) -> None:
            self.name, self.size = "endless", 1 << 40

    assert _conversation._range([5, 5 + MOST_AHEAD], Endless()) == (5, 5 + MOST_AHEAD)
    with pytest.raises(ChildProtocolError):
        _conversation._range([5, 6 + MOST_AHEAD], Endless())


@pytest.mark.parametrize(
    "body", [[], None, [0, 5], [[0, 101]], [[0, 5], None], [[0, 1]] * (MOST_AT_ONCE + 1), [[0, MOST_AHEAD], [0, 1]]]
)
def test_a_child_gets_no_run_of_ranges_that_is_too_long_or_none_of_the_source(body: object) -> None:
    size = 100 if body != [[0, MOST_AHEAD], [0, 1]] else 1 << 30
    source = Ranges(bytes(100))
    source.size = size
    with pytest.raises(ChildProtocolError, match="must not have"):
        _conversation._ranges(body, source)


def test_what_is_read_next_is_asked_for_together_and_once() -> None:
    class Many(Ranges):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self.together: list[list[tuple[int, int]]] = []

        def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
            self.together.append(list(ranges))
            return [self._data[start:stop] for start, stop in ranges]

    data = random.Random(1).randbytes(8 << 20)
    many = Many(data)
    source = CachedRanges(many)
    source.read(0, 10)
    wanted = [(4 << 20, (4 << 20) + 100), (6 << 20, (6 << 20) + 100)]
    fetch_ahead(source, [(5, 50), *wanted, *wanted])
    assert many.together == [wanted], "the first is there already"
    asked = len(many.asked)
    assert [source.read(*each) for each in wanted] == [data[start:stop] for start, stop in wanted]
    assert len(many.asked) == asked
    assert source.read(5 << 20, 7 << 20) == data[5 << 20 : 7 << 20]
    fetch_ahead(CachedRanges(Ranges(data)), wanted)  # one that brings one at a time is not asked


def test_a_large_read_is_one_journey() -> None:
    ranges = Ranges(bytes(16 << 20))
    file = open_bytes(CachedRanges(ranges))
    file.seek(9 << 20)
    file.read(3 << 20)
    assert ranges.asked == [(9 << 20, 12 << 20)]


def test_key_frames_all_over_a_film_are_one_journey(tmp_path: Path) -> None:
    """Of many a long film's places the child asks for those together that nothing has been read of."""

    class Far(Ranges):
        together = 0

        def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
            Far.together += 1
            return [self._data[start:stop] for start, stop in ranges]

    noise = random.Random(1)

    def picture(n: int, width: int, height: int) -> bytes:
        """Small at first, so that what is read of the beginning is a small part of the film."""
        return noise.randbytes(3 * width * height) if n >= QUIET else bytes(3 * width * height)

    clip = make_clip(
        tmp_path / "film.mp4", seconds=(QUIET + 1200) / 50, rate=50, width=64, height=64, gop=100, audio=False,
        picture=picture, options={"qp": "4", "preset": "ultrafast"},
    )  # fmt: skip
    far = Far(clip.read_bytes())
    assert probe(far) == probe_here(clip)
    assert Far.together == 1
    assert probe(Ranges(clip.read_bytes())) == probe_here(clip), "and of one that brings one range at a time"


def test_errors_name_the_source() -> None:
    with pytest.raises(EmptyFileError, match=r"'film\.mp4' is empty"):
        probe_here(Ranges(b""))
    with pytest.raises(NoMediaError, match=r"'notes\.txt'"):
        probe_here(Ranges(b"just words " * 100, "notes.txt"))
    with pytest.raises(MediaUnreadableError, match=r"'film\.mp4' is an image that is cut short"):
        probe_here(Ranges(b"\x89PNG\r\n\x1a\n" + bytes(100)))


@given(size=st.integers(1, 3 << 20), places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1 << 20)), max_size=8))
def test_a_file_in_front_of_ranges_reads_as_a_file(size: int, places: list[tuple[float, int]]) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    real, file = io.BytesIO(data), open_bytes(CachedRanges(Ranges(data)))
    for share, length in places:
        assert file.seek(int(share * size)) == real.seek(int(share * size))
        assert file.read(length) == real.read(length)
        assert file.tell() == real.tell()
    assert file.seek(-1, io.SEEK_END) == size - 1
    assert file.read() == data[-1:]
    with pytest.raises(ValueError, match="before the start"):
        file.seek(-1)


def test_reading_straight_on_asks_for_more_at_once() -> None:
    ranges = Ranges(bytes(16 << 20))
    file = open_bytes(CachedRanges(ranges))
    while file.read(32 << 10):
        pass
    assert len(ranges.asked) <= 10
    assert ranges.total == ranges.size
    assert max(stop - start for start, stop in ranges.asked) == MOST_AHEAD


def test_a_child_that_waits_asks_for_nothing(tmp_path: Path) -> None:
    """It opens the film again while its parent thinks, but of 40 MB it has forgotten where they begin."""
    clip = make_clip(tmp_path / "clip.ts", seconds=2, rate=10, width=128, height=72).read_bytes()
    nothing = bytes([0x47, 0x1F, 0xFF, 0x10]).ljust(188, b"\xff")  # a null packet: ISO/IEC 13818-1 section 2.4.1
    packets = [clip[at : at + 188] for at in range(0, len(clip), 188)]
    middle = len(packets) // 2
    film = Ranges(b"".join([*packets[:middle], nothing * ((40 << 20) // len(nothing)), *packets[middle:]]), "clip.ts")
    with Children(ahead=False, keep=1) as children:
        plan = make_plan(probe(film, children=children), artwork=False)
        asked = len(film.asked)
        [child] = [kept.process for kept in children._kept]
        tree = Tree()
        for part in plan.parts:
            encode_part(film, plan, part, tree, children=children)
        assert [kept.process for kept in children._kept] == [child]
    assert film.asked[asked][0] == 0
    assert tree.segments == encode(tmp_path / "clip.ts", plan).segments
