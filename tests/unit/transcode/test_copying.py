"""Renditions that are made of the source's own packets."""

import os
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamkit.transcode import EncodeError, MediaInfo, Part, Plan, make_plan
from mamkit.transcode.encode import encode_part_here
from mamkit.transcode.planning.plan import frame_range
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _copying, _packets
from mamkit.transcode.reading._encryption import read_movie_box
from mamkit.transcode.reading._packets import header_units, splitter
from mamkit.transcode.reading._samples import sample_table
from tests.media_factory import make_clip
from tests.unit.transcode.test_encode_video import numbered, numbers
from tests.unit.transcode.tree import Tree, encode

OPEN = {"x264-params": "open-gop=1:keyint=16:min-keyint=16:scenecut=0:b-adapt=0"}
PICTURES = {1, 5}  # NAL units, ITU-T H.264 table 7-1


def film(path: Path, **changes: Any) -> Path:
    """A film in groups of pictures of 1.6 s, in two renditions."""
    usual = {"seconds": 15, "rate": 10, "width": 854, "height": 480, "audio": False, "gop": 16, "b_frames": 2}
    return make_clip(path, **(usual | {"picture": numbered} | changes))


def slices(path: Path) -> list[bytes]:
    """The coded pictures of a file, without what stands beside them."""
    with av.open(path) as container:
        units_of = splitter(bytes(container.streams.video[0].codec_context.extradata or b""))
        return [
            b"".join(unit for unit in units_of(bytes(packet)) if unit[0] & 31 in PICTURES)
            for packet in container.demux(video=0)
            if packet.size
        ]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan, Tree]:
    """A film, its plan, and what comes of it in parts that nobody would take in this order."""
    clip = film(tmp_path_factory.mktemp("copying") / "clip.mp4")
    plan = make_plan(probe_here(clip))
    parts = [Part(index=n, kind="video", start=n, stop=n + 1) for n in range(plan.segment_count)]
    return clip, plan, encode(clip, plan, parts[1::2] + parts[::2][::-1])


def test_a_film_that_fits_is_copied_into_the_largest_rendition(copied: tuple[Path, Plan, Tree]) -> None:
    _, plan, _ = copied
    assert [(video.name, video.copied) for video in plan.video] == [("480p", True), ("360p", False)]
    assert plan.notes == ("480p is made of the source's own packets",)
    assert plan.cuts == (0, 48, 96)  # three groups each: a fourth would make 6.4 s
    assert frame_range(plan, 2) == range(96, 150)


def test_every_picture_of_the_source_is_there_in_its_place_and_nothing_else(copied: tuple[Path, Plan, Tree]) -> None:
    clip, plan, tree = copied
    assert numbers(tree, "480p") == list(range(plan.frame_count))
    packets = tree.packets("480p")
    assert sorted(time for time, _, _ in packets) == [Fraction(n, 10) for n in range(150)]
    assert [time * 10 for time, _, key in packets if key] == list(range(0, 150, 16))
    out = clip.with_name("out.mp4")
    out.write_bytes(tree.film("480p"))
    assert slices(out) == slices(clip)
    with av.open(clip) as source, av.open(out) as made:
        assert b"x264" in b"".join(bytes(packet) for packet in source.demux(video=0))  # its message to the world
        assert b"x264" not in b"".join(bytes(packet) for packet in made.demux(video=0))


def test_the_others_follow_its_boundaries(copied: tuple[Path, Plan, Tree]) -> None:
    _, plan, tree = copied
    assert numbers(tree, "360p") == list(range(plan.frame_count))
    for index in range(plan.segment_count):
        frames = frame_range(plan, index)
        for rendition in plan.video:
            facts, _ = tree.segments[rendition.name][index]
            assert facts.duration == Fraction(len(frames), 10)
            assert facts.key_frames[0].time == Fraction(frames.start, 10)
    keys = [time * 10 for time, _, key in tree.packets("360p") if key]
    assert keys == [0, 20, 40, 48, 68, 88, 96, 116, 136]  # every 2 s, and where a segment starts


def test_parts_of_any_length_give_the_same_segments(copied: tuple[Path, Plan, Tree]) -> None:
    clip, plan, tree = copied
    alone = plan.model_copy(update={"video": plan.video[:1]})
    whole = encode(clip, alone, [Part(index=0, kind="video", start=0, stop=plan.segment_count)])
    assert whole.segments["480p"] == tree.segments["480p"]
    assert whole.inits["480p"][0] == tree.inits["480p"][0]


def test_nothing_below_a_copied_rendition_takes_more_bits_than_it(copied: tuple[Path, Plan, Tree]) -> None:
    clip, plan, _ = copied
    [stream] = probe_here(clip).video
    assert stream.copyable is not None
    assert plan.video[1].bit_rate <= max(64_000, stream.copyable.bit_rate)


def test_copying_is_left_out_where_nobody_wants_it(copied: tuple[Path, Plan, Tree]) -> None:
    plan = make_plan(probe_here(copied[0]), copy=False)
    assert plan.cuts == ()
    assert not any(video.copied for video in plan.video)
    assert "because that was asked for" in plan.notes[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gop": 24}, "its key frames are more than 2 s apart"),
        ({"options": OPEN}, "its key frames are not all IDR pictures"),
        ({"options": {"x264-params": "intra-refresh=1:keyint=16"}, "b_frames": 0}, "not all IDR pictures"),
        ({"rotation": 90}, "it has to be turned"),
        ({"sample_aspect_ratio": Fraction(4, 3)}, "its pixels are not square"),
        ({"pixel_format": "yuv444p"}, "it is h264 High 4:4:4 Predictive in yuv444p"),
        ({"codec": "libx265"}, "it is hevc"),
        ({"width": 2000, "height": 1124, "seconds": 1}, "it is made smaller"),
        ({"rate": 4, "gop": 8}, "its frame rate is changed"),
        ({"times": [Fraction(n * n, 40) for n in range(40)]}, "its frame rate varies"),
        ({"times": [Fraction(n + 5 * (n > 30), 10) for n in range(60)]}, "gaps, or frames at the same time"),
        ({"container_options": {"movflags": "frag_keyframe+empty_moov"}}, "it has no table of all its frames"),
        ({"audio": True, "seconds": 2, "times": [Fraction(n, 10) for n in range(10)]}, "sound ends after it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_encoded_and_the_reason_said(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    clip = film(tmp_path / "clip.mp4", **({"seconds": 6, "width": 160, "height": 96} | changes))
    plan = make_plan(probe_here(clip))
    assert plan.cuts == ()
    assert not any(video.copied for video in plan.video)
    assert reason in plan.notes[0]


def test_another_container_is_encoded(tmp_path: Path) -> None:
    assert "not in MP4" in make_plan(probe_here(film(tmp_path / "clip.flv", seconds=2))).notes[0]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
@pytest.mark.parametrize("rate", [10, Fraction(30_000, 1001)])
def test_the_packets_of_other_containers_are_copied(tmp_path: Path, suffix: str, rate: Fraction | int) -> None:
    """Also those behind start codes, with headers in the stream, and at times that are rounded to milliseconds."""
    length = {"rate": rate, "gop": round(Fraction(8, 5) * rate), "seconds": 9}
    clip = film(tmp_path / f"clip.{suffix}", **length)
    plan = make_plan(probe_here(clip))
    assert plan.video[0].copied
    assert plan.segment_count == 2
    parts = [Part(index=n, kind="video", start=n, stop=n + 1) for n in (1, 0)]
    tree = encode(clip, plan, parts)
    for rendition in plan.video:
        assert numbers(tree, rendition.name) == list(range(plan.frame_count))
        assert sorted(time for time, _, _ in tree.packets(rendition.name)) == [
            n / Fraction(rate) for n in range(plan.frame_count)
        ]
    out = clip.with_name("out.mp4")
    out.write_bytes(tree.film("480p"))
    assert slices(out) == slices(clip)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_the_same_packets_make_the_same_transport_streams_and_rendition(tmp_path: Path, suffix: str) -> None:
    clips = [film(tmp_path / f"clip.{name}", seconds=3) for name in ("mp4", suffix)]
    for container in ("fmp4", "ts"):
        made = [encode(clip, make_plan(probe_here(clip), container=container)).segments["480p"] for clip in clips]
        assert made[0] == made[1]


def test_a_transport_stream_with_a_hole_is_encoded(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.ts", seconds=6, width=160, height=96)
    data = clip.read_bytes()
    middle = len(data) // 2 // 188 * 188
    clip.write_bytes(data[:middle] + data[middle + 40 * 188 :])
    plan = make_plan(probe_here(clip))
    assert not plan.video[0].copied
    assert re.search("damaged in places|gaps|rate", plan.notes[0])


def test_packets_with_other_headers_than_the_first_ones_are_not_copied(tmp_path: Path) -> None:
    """What a player has been told at the beginning would be wrong."""
    clip = film(tmp_path / "clip.ts", seconds=3.2, width=160, height=96)
    with av.open(clip) as container:
        headers = bytes(container.streams.video[0].codec_context.extradata or b"")
        packets = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    [sps] = [unit for unit in header_units(headers) if unit[0] & 31 == 7]
    others = headers.replace(sps, sps + b"\x80")
    assert [_packets._Found(headers).add(packet) for packet in packets] == ["", ""]
    assert [_packets._Found(others).add(packet) for packet in packets] == ["its parameter sets change"] * 2


def test_an_mp4_whose_pictures_change_their_size_is_encoded(tmp_path: Path) -> None:
    """Encodes behind each other in one track, the later ones with headers of their own beside their key frames."""
    sizes = [(160, 96), (320, 192), (160, 96)]
    clips = [film(tmp_path / f"{n}.h264", seconds=3.2, width=w, height=h, b_frames=0) for n, (w, h) in enumerate(sizes)]
    path, count = tmp_path / "clip.mp4", 0
    with av.open(path, "w") as output, av.open(clips[0]) as first:
        stream = output.add_stream_from_template(first.streams.video[0])
        for clip in clips:
            with av.open(clip) as container:
                for found in container.demux(video=0):
                    packet = av.Packet(bytes(found))
                    if packet.size:
                        packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), found.is_keyframe
                        packet.pts = packet.dts = count
                        output.mux(packet)
                        count += 1
    plan = make_plan(probe_here(path))
    assert "its parameter sets change" in plan.notes[0]
    assert len(encode(path, plan).pictures(plan.video[0].name)) == plan.frame_count == 96


def test_a_film_too_large_to_be_read_through_is_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = film(tmp_path / "clip.mkv", seconds=2)
    monkeypatch.setattr(_packets, "_READ_THROUGH", 1_000)
    assert "too large to be read through" in make_plan(probe_here(clip)).notes[0]


@given(st.lists(st.binary(min_size=1).filter(lambda unit: unit[-1] and b"\0\0\1" not in unit + b"\0"), max_size=5))
def test_units_are_found_behind_start_codes_and_behind_lengths(units: list[bytes]) -> None:
    stream = b"".join(b"\0\0\0\1" + unit for unit in units)
    assert splitter(b"\0\0\0\1\x67")(stream) == units
    assert splitter(b"\1dxx\xff\xe1")(b"") == []
    assert splitter(b"\1dxx\xff\xe1\0")(b"".join(len(unit).to_bytes(4) + unit for unit in units)) == units


def test_a_film_whose_beginning_is_cut_away_is_encoded(tmp_path: Path) -> None:
    """An edit list that begins at the second key frame: the frames before are there, and must not be shown."""
    clip = film(tmp_path / "clip.mp4", seconds=6, width=160, height=96, b_frames=0)
    data = bytearray(clip.read_bytes())
    at = data.index(b"elst") + 12  # version and flags, count
    data[at + 4 : at + 8] = (16 * 1024).to_bytes(4)
    assert int.from_bytes(data[data.index(b"mdhd") + 16 : data.index(b"mdhd") + 20]) == 10 * 1024
    clip.write_bytes(data)
    assert "cut by an edit list" in make_plan(probe_here(clip)).notes[0]


def test_a_film_cut_short_is_encoded(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", width=160, height=96, b_frames=0, container_options={"movflags": "faststart"})
    os.truncate(clip, clip.stat().st_size * 2 // 3)
    assert "it is cut short" in make_plan(probe_here(clip)).notes[0]


def test_of_a_long_film_as_many_key_frames_are_looked_at_as_of_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a journey to a store; the first and the last are among them."""
    looked_at: list[int] = []
    is_idr = _copying._is_idr

    def look(*given: Any) -> bool:
        looked_at.append(given[-1])
        return is_idr(*given)

    monkeypatch.setattr(_copying, "_is_idr", look)
    for seconds in (48, 120):
        looked_at.clear()
        clip = film(tmp_path / "clip.mp4", seconds=seconds, width=64, height=64, b_frames=0, gop=16)
        assert probe_here(clip).video[0].copyable is not None
        assert len(looked_at) == 16
        assert looked_at[0] == 0
        assert looked_at[-1] >= 10 * seconds - 20
        assert len(set(looked_at)) == 16


def test_a_key_frame_of_another_kind_that_was_not_looked_at_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = film(tmp_path / "clip.mp4", width=160, height=96, b_frames=0, options=OPEN)
    monkeypatch.setattr(_copying, "_is_idr", lambda *_: True)
    plan = make_plan(probe_here(clip))
    assert plan.video[0].copied
    assert len(plan.cuts) > 1
    tree = Tree()
    for segment in reversed(range(plan.segment_count)):
        encode_part_here(clip, plan, Part(index=0, kind="video", start=segment, stop=segment + 1), tree)
    assert len(tree.pictures(plan.video[0].name)) == plan.frame_count


def test_bits_beyond_the_cap_are_encoded(copied: tuple[Path, Plan, Tree]) -> None:
    info = probe_here(copied[0])
    found = info.video[0].copyable
    assert found is not None

    def note(**changes: int) -> str:
        stream = info.video[0].model_copy(update={"copyable": found.model_copy(update=changes)})
        return make_plan(MediaInfo(**(dict(info) | {"video": (stream,)}))).notes[0]

    assert "it takes up to 9000 kb/s" in note(peak_bit_rate=9_000_000)
    assert "more than twice the average" in note(peak_bit_rate=500_000, bit_rate=200_000)


def test_a_source_that_has_changed_since_is_refused(tmp_path: Path, copied: tuple[Path, Plan, Tree]) -> None:
    _, plan, _ = copied
    other = film(tmp_path / "clip.mp4", gop=20)
    with pytest.raises(EncodeError, match="made no segment 1"):
        encode_part_here(other, plan, Part(index=0, kind="video", start=1, stop=2), Tree())


@given(st.data())
def test_tables_that_lie_are_no_tables(copied: tuple[Path, Plan, Tree], data: st.DataObject) -> None:
    clip, _, _ = copied
    with clip.open("rb") as file:
        movie = bytearray(read_movie_box(file, clip.stat().st_size))
    places: Sequence[int] = data.draw(st.lists(st.integers(0, len(movie) - 1), min_size=1, max_size=4))
    for place in places:
        movie[place] = data.draw(st.integers(0, 255))
    table = sample_table(bytes(movie), 1)
    if table is not None:
        assert len(table.composition) == len(table.sizes) == len(table.places)
        assert all(table.places[index] >= 0 for index in range(len(table.sizes)))
        assert table.places.end() >= 0
