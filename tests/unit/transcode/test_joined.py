"""Several transport streams in one file are one film, whatever their clocks say."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import Join, Part, encode_part, make_plan, probe
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _joined
from mamkit.transcode.reading._joined import find_joins, joined
from mamkit.transcode.reading._transport import PACKET, TICKS, clocks, moved, starts_of_tables, synchronised
from mamkit.transcode.reading.source import MOST_AHEAD, open_bytes
from tests.media_factory import make_clip
from tests.unit.transcode.test_encode_video import numbered, numbers
from tests.unit.transcode.test_source import Ranges
from tests.unit.transcode.tree import Tree, encode

SECOND = 90_000  # ticks


def recording(path: Path, seconds: float, **changes: Any) -> bytes:
    """A transport stream of pictures that tell their number, ten a second."""
    usual: dict[str, Any] = {"rate": 10, "width": 160, "height": 96, "gop": 30, "b_frames": 2, "picture": numbered}
    return make_clip(path, seconds=seconds, **(usual | changes)).read_bytes()


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """Three recordings behind each other, of which each begins at the same time of its own."""
    folder = tmp_path_factory.mktemp("tape")
    stretches = [recording(folder / f"{n}.ts", seconds) for n, seconds in enumerate((4, 2, 7))]
    path = folder / "tape.ts"
    path.write_bytes(b"".join(stretches))
    return path, stretches


def test_all_recordings_are_shown_one_after_the_other(tape: tuple[Path, list[bytes]]) -> None:
    path, stretches = tape
    info = probe_here(path)
    assert info.joins == (
        Join(position=len(stretches[0]), shift=4 * SECOND),
        Join(position=len(stretches[0] + stretches[1]), shift=6 * SECOND),
    )
    assert info.video[0].duration == 13
    assert not info.video[0].variable_frame_rate
    plan = make_plan(info, artwork=False)
    tree = encode(path, plan, [Part(index=n, kind="video", start=n, stop=n + 1) for n in (2, 0, 1)])
    assert numbers(tree, plan.video[0].name) == [*range(40), *range(20), *range(70)]


def test_a_child_shows_them_of_ranges_too(tape: tuple[Path, list[bytes]]) -> None:
    path, _ = tape
    ranges = Ranges(path.read_bytes(), path.name)
    info = probe(ranges)
    assert info == probe_here(path)
    plan = make_plan(info)
    here, there = encode(path, plan), Tree()
    for part in plan.parts:
        encode_part(ranges, plan, part, there)
    assert there.segments == here.segments
    assert there.art_files == here.art_files


def test_sound_goes_on_with_its_picture(tape: tuple[Path, list[bytes]]) -> None:
    """The two tracks of a recording are moved alike: of a join nothing is heard but what the recorder left out."""
    info = probe_here(tape[0])
    [sound] = info.audio
    assert abs(sound.start + (sound.duration or 0) - info.video[0].start - 13) < Fraction(1, 10)


def test_a_large_file_is_looked_at_in_places(
    tape: tuple[Path, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, stretches = tape
    whole = find_joins(path)
    monkeypatch.setattr(_joined, "_READ_THROUGH", 0)
    monkeypatch.setattr(_joined, "_BLOCK", 64 * PACKET)
    monkeypatch.setattr(_joined, "_WINDOW", 64 * PACKET)
    monkeypatch.setattr(_joined, "_NEAR", 128 * PACKET)
    monkeypatch.setattr(_joined, "_PLACES", 10)
    ranges = Ranges(path.read_bytes())
    assert find_joins(ranges) == whole
    assert len(ranges.asked) < 100
    alone = tmp_path / "alone.ts"
    alone.write_bytes(stretches[2])
    assert find_joins(alone) == ()


@pytest.mark.parametrize(("hours", "joins"), [(Fraction(1, 720), 0), (10, 1), (-10, 1)])
def test_a_gap_of_seconds_is_a_gap_and_a_leap_is_none(tmp_path: Path, hours: Fraction | int, joins: int) -> None:
    stretches = [recording(tmp_path / f"{n}.ts", 2, audio=False) for n in range(2)]
    path = tmp_path / "both.ts"
    path.write_bytes(stretches[0] + moved(stretches[1], int((2 + 3600 * hours) * SECOND)))
    info = probe_here(path)
    assert len(info.joins) == joins
    assert info.duration == (4 if joins else 9)


def test_a_clock_that_begins_anew_after_26_hours_is_no_join(tmp_path: Path) -> None:
    data = recording(tmp_path / "clip.ts", 8)
    plain = make_plan(probe_here(tmp_path / "clip.ts"), artwork=False)
    path = tmp_path / "wraps.ts"
    path.write_bytes(moved(data, TICKS - 5 * SECOND))
    times = [clock.ticks for clock in clocks(path.read_bytes())]
    assert min(times) < SECOND * 10 < TICKS - SECOND < max(times)
    info = probe_here(path)
    assert info.joins == ()
    plan = make_plan(info, artwork=False)
    assert plan.duration == plain.duration
    tree = encode(path, plan, [Part(index=n, kind="video", start=n, stop=n + 1) for n in (1, 0)])
    assert numbers(tree, plan.video[0].name) == list(range(80))


def test_a_part_of_joined_recordings_reads_its_share(tmp_path: Path) -> None:
    rate = {"b": "4M", "minrate": "4M", "maxrate": "4M", "bufsize": "1M"}
    bare: dict[str, Any] = {"codec": "mpeg2video", "rate": 25, "gop": 10, "options": rate, "audio": False}
    data = recording(tmp_path / "clip.ts", 12, **bare)
    path = tmp_path / "tape.ts"
    path.write_bytes(4 * data)
    plan = make_plan(probe_here(path))
    assert plan.segment_count == 8
    for index in (0, 3, 7):
        ranges = Ranges(path.read_bytes())
        encode_part(ranges, plan, Part(index=0, kind="video", start=index, stop=index + 1), Tree())
        assert ranges.total <= ranges.size / 8 + 2 * MOST_AHEAD
        assert len(ranges.asked) < 30


@given(shift=st.integers(0, TICKS - 1), start=st.floats(0, 1), length=st.integers(1, 5_000))
def test_clocks_are_moved_to_and_fro_and_nothing_else_is(
    tape: tuple[Path, list[bytes]], shift: int, start: float, length: int
) -> None:
    _, stretches = tape
    data = stretches[1]
    there = moved(data, shift)
    assert moved(there, TICKS - shift) == data
    assert [(clock.ticks + shift) % TICKS for clock in clocks(data)] == [clock.ticks for clock in clocks(there)]
    source = joined(Ranges(data + data), [Join(position=len(data), shift=shift)])
    at = int(start * (2 * len(data) - 1))
    with open_bytes(source) as file:
        file.seek(at)
        assert file.read(length) == (data + there)[at : at + length]


@given(st.data())
def test_streams_that_lie_are_read_all_the_same(tape: tuple[Path, list[bytes]], data: st.DataObject) -> None:
    broken = bytearray(tape[1][1] + tape[1][1])
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=20)):
        broken[place] = data.draw(st.integers(0, 255))
    del broken[data.draw(st.integers(0, len(broken) - 1)) :]
    ranges = Ranges(bytes(broken))
    source = joined(ranges, find_joins(ranges))
    with open_bytes(source) as file:
        assert len(file.read()) == len(broken)


def test_what_is_no_transport_stream_has_no_joins(tmp_path: Path) -> None:
    assert find_joins(make_clip(tmp_path / "clip.mp4", seconds=1)) == ()
    assert find_joins(Ranges(b"G")) == ()
    assert synchronised(b"G" + bytes(1_000)) is None
    assert starts_of_tables(bytes(10)) is None
