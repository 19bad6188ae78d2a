"""Poster, storyboard and waveform: where they lie, what they show, and that they stay small."""

import io
import json
import re
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import (
    POSTER_NAME,
    STORYBOARD_NAME,
    WAVEFORM_IMAGE_NAME,
    WAVEFORM_NAME,
    AudioStream,
    MediaInfo,
    Plan,
    Storyboard,
    VideoStream,
    encode_part,
    make_plan,
    poster_size,
    probe,
    sheet_name,
    storyboard,
    storyboard_vtt,
)
from mamkit.transcode.artwork import _waveform as waveform
from mamkit.transcode.artwork.files import is_art_name
from tests.media_factory import CORNERS, make_clip
from tests.unit.transcode.tree import Tree, encode, plan_for

PLACES = {
    "top_left": (0.2, 0.2),
    "top_right": (0.8, 0.2),
    "bottom_left": (0.2, 0.8),
    "bottom_right": (0.8, 0.8),
}


def plan_of(seconds: Fraction | int, *, width: int = 1920, height: int = 1080) -> Plan:
    length = Fraction(seconds)
    picture = VideoStream(
        index=0,
        codec="h264",
        width=width,
        height=height,
        frame_rate=Fraction(25),
        pixel_format="yuv420p",
        duration=length,
    )
    sound = AudioStream(index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=length)
    return make_plan(MediaInfo(container="mov", size=1, duration=length, video=(picture,), audio=(sound,)))


def artwork_of(source: Path) -> dict[str, bytes]:
    """Make the artwork alone, in this process."""
    plan = plan_for(source)
    return encode(source, plan, [part for part in plan.parts if part.kind == "artwork"]).art_files


def colours(image: bytes) -> tuple[int, int, "av.VideoFrame"]:
    """Decode a JPEG or a PNG to RGB; its width, height and pixels."""
    with av.open(io.BytesIO(image), "r") as opened:
        [frame] = opened.decode(video=0)
    # JPEG is full-range BT.601.
    rgb = frame.reformat(format="rgb24", src_colorspace="itu601", dst_colorspace="itu601")
    return frame.width, frame.height, rgb


def colour_at(picture: "av.VideoFrame", x: float, y: float) -> tuple[int, ...]:
    plane = picture.planes[0]
    at = int(y) * plane.line_size + 3 * int(x)
    return tuple(bytes(plane)[at : at + 3])


def assert_corners(
    picture: "av.VideoFrame", left: int, top: int, width: int, height: int, corners: dict[str, tuple[int, int, int]]
) -> None:
    for corner, (x, y) in PLACES.items():
        seen = colour_at(picture, left + x * width, top + y * height)
        assert all(abs(a - b) <= 12 for a, b in zip(seen, corners[corner], strict=True)), (corner, seen)


def test_artwork_is_the_last_part_and_can_be_left_out() -> None:
    info = MediaInfo(
        container="wav",
        size=1,
        duration=Fraction(20),
        audio=(AudioStream(index=0, codec="aac", sample_rate=48_000, channels=1, layout="mono"),),
    )
    plan = make_plan(info)
    assert [part.kind for part in plan.parts] == ["audio", "artwork"]
    assert (plan.parts[-1].index, plan.parts[-1].start, plan.parts[-1].stop) == (1, 0, plan.segment_count)
    assert make_plan(info, artwork=False).parts == plan.parts[:-1]


@pytest.mark.parametrize(
    ("seconds", "interval", "count"),
    [(Fraction(1, 25), 2, 1), (5, 2, 3), (400, 2, 200), (401, 3, 134), (86_400, 432, 200)],
)
def test_a_storyboard_has_two_hundred_pictures_at_most(seconds: Fraction | int, interval: int, count: int) -> None:
    board = storyboard(plan_of(seconds))
    assert (board.interval, board.count) == (interval, count)


@pytest.mark.parametrize(
    ("size", "poster", "tile"),
    [
        ((1920, 1080), (1280, 720), (192, 108)),
        ((1080, 1920), (720, 1280), (108, 192)),
        ((128, 72), (128, 72), (128, 72)),
        ((2000, 40), (1280, 26), (192, 4)),
    ],
)
def test_pictures_keep_their_shape(size: tuple[int, int], poster: tuple[int, int], tile: tuple[int, int]) -> None:
    plan = plan_of(5, width=size[0], height=size[1])
    board = storyboard(plan)
    assert poster_size(plan) == poster
    assert (board.width, board.height) == tile


def test_the_last_sheet_is_as_large_as_its_pictures_need() -> None:
    board = Storyboard(interval=2, count=28, width=10, height=6)
    assert [board.sheet_size(n) for n in range(2)] == [(50, 30), (30, 6)]
    assert [board.place(n) for n in (0, 4, 5, 24, 25, 27)] == [(0, 0), (40, 0), (0, 6), (40, 24), (0, 0), (20, 0)]


def test_a_storyboard_covers_the_film_to_the_letter() -> None:
    board = Storyboard(interval=1800, count=3, width=192, height=108)
    assert storyboard_vtt(board, Fraction(5000)) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:30:00.000\nstoryboard_000.jpg#xywh=0,0,192,108\n\n"
        "00:30:00.000 --> 01:00:00.000\nstoryboard_000.jpg#xywh=192,0,192,108\n\n"
        "01:00:00.000 --> 01:23:20.000\nstoryboard_000.jpg#xywh=384,0,192,108\n"
    )


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (POSTER_NAME, True), (STORYBOARD_NAME, True), (WAVEFORM_NAME, True), (WAVEFORM_IMAGE_NAME, True),
        (sheet_name(7), True), ("art/../x.jpg", False), ("art/poster.jpg\n", False), ("index.m3u8", False),
    ],
)  # fmt: skip
def test_only_known_names_are_artwork(name: str, known: bool) -> None:
    assert is_art_name(name) is known


def test_every_picture_shows_the_film_in_its_colours(tmp_path: Path) -> None:
    files = artwork_of(make_clip(tmp_path / "film.mp4", seconds=9, width=384, height=216))
    assert set(files) == {POSTER_NAME, STORYBOARD_NAME, sheet_name(0), WAVEFORM_NAME, WAVEFORM_IMAGE_NAME}
    width, height, poster = colours(files[POSTER_NAME])
    assert (width, height) == (384, 216)
    assert_corners(poster, 0, 0, width, height, CORNERS)
    _, _, sheet = colours(files[sheet_name(0)])
    places = re.findall(r"storyboard_000\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)", files[STORYBOARD_NAME].decode())
    assert len(places) == 5
    for left, top, wide, high in places:
        assert_corners(sheet, int(left), int(top), int(wide), int(high), CORNERS)


def test_pictures_show_their_own_time(tmp_path: Path) -> None:
    """Red for the first four seconds, and blue from then on."""

    def paint(n: int, width: int, height: int) -> bytes:
        return (b"\xdc\x1e\x1e" if n < 100 else b"\x1e\x1e\xdc") * (width * height)

    files = artwork_of(make_clip(tmp_path / "film.mp4", seconds=8, gop=25, picture=paint))
    _, _, sheet = colours(files[sheet_name(0)])
    seen = [colour_at(sheet, 128 * tile + 64, 36) for tile in range(4)]
    assert [red > blue for red, _, blue in seen] == [True, True, False, False]


def test_pictures_are_upright(tmp_path: Path) -> None:
    turned = {
        "top_left": CORNERS["bottom_left"],
        "top_right": CORNERS["top_left"],
        "bottom_left": CORNERS["bottom_right"],
        "bottom_right": CORNERS["top_right"],
    }
    files = artwork_of(make_clip(tmp_path / "film.mov", seconds=1, rotation=90))
    for name in (POSTER_NAME, sheet_name(0)):
        width, height, picture = colours(files[name])
        assert (width, height) == (72, 128)
        assert_corners(picture, 0, 0, width, height, turned)


def test_a_poster_is_not_the_black_beginning(tmp_path: Path) -> None:
    def paint(n: int, width: int, height: int) -> bytes:
        ramp = bytes(value for x in range(width) for value in [255 * x // width] * 3)
        return ramp * height if 75 <= n < 100 else bytes(3 * width * height)

    files = artwork_of(make_clip(tmp_path / "film.mp4", seconds=8, gop=25, picture=paint))
    _, _, poster = colours(files[POSTER_NAME])
    assert colour_at(poster, 120, 36)[0] > 200


def test_a_file_that_cannot_be_sought_in_has_a_poster(tmp_path: Path) -> None:
    files = artwork_of(make_clip(tmp_path / "film.h264", seconds=3, audio=False, container="h264"))
    assert POSTER_NAME in files
    assert (STORYBOARD_NAME in files) == (sheet_name(0) in files)


def test_a_film_that_was_cut_before_its_second_key_frame_has_a_storyboard(tmp_path: Path) -> None:
    """The pictures before that one are not shown: they were cut away."""
    path = make_clip(tmp_path / "film.mp4", seconds=6, rate=10, gop=25, audio=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4 + 8  # version, flags and count; then length and begin: ISO/IEC 14496-12 8.6.6
    scale = data.index(b"mdhd") + 4 + 12
    half = int.from_bytes(data[scale : scale + 4]) // 2
    data[at : at + 8] = (5500).to_bytes(4) + half.to_bytes(4)
    path.write_bytes(data)
    files = artwork_of(path)
    _, _, sheet = colours(files[sheet_name(0)])
    for tile in range(3):
        assert_corners(sheet, 128 * tile, 0, 128, 72, CORNERS)


def test_one_key_frame_is_enough_for_a_storyboard(tmp_path: Path) -> None:
    """Also in a transport stream, where a seek lands behind it."""
    files = artwork_of(make_clip(tmp_path / "film.ts", seconds=5, gop=500, options={"scenecut": "0"}))
    _, _, sheet = colours(files[sheet_name(0)])
    for tile in range(3):
        assert_corners(sheet, 128 * tile, 0, 128, 72, CORNERS)


def test_a_waveform_is_as_high_as_the_sound(tmp_path: Path) -> None:
    """A quarter of full scale for two seconds, and then silence."""

    def sound(time: float) -> float:
        return (0.25 if int(time * 2000) % 2 else -0.25) if time < 2 else 0.0

    source = make_clip(tmp_path / "s.wav", video=False, audio_codec="pcm_s16le", seconds=4, layout="mono", sound=sound)
    files = artwork_of(source)
    assert set(files) == {WAVEFORM_NAME, WAVEFORM_IMAGE_NAME}
    made = json.loads(files[WAVEFORM_NAME])
    assert (made["version"], made["channels"], made["bits"]) == (2, 1, 8)
    assert made["length"] * 2 == len(made["data"])
    assert abs(made["length"] * made["samples_per_pixel"] / made["sample_rate"] - 4) < 0.05
    highest = made["data"][1::2]
    half = made["length"] // 2
    assert all(28 <= peak <= 48 for peak in highest[5 : half - 5])
    assert all(peak <= 1 for peak in highest[half + 5 :])
    width, height, picture = colours(files[WAVEFORM_IMAGE_NAME])
    assert (width, height) == (made["length"], 128)
    assert colour_at(picture, width // 4, 50) == (0x5B, 0x8D, 0xEF)
    assert colour_at(picture, 3 * width // 4, 50) == (0, 0, 0)


def test_a_long_sound_is_looked_at_here_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stretch by its beginning: as many seeks as there are stretches, whatever the length."""
    source = make_clip(tmp_path / "film.mp4", seconds=8, width=32, height=32)
    monkeypatch.setattr(waveform, "_MOST_PEAKS", 10)
    whole = json.loads(artwork_of(source)[WAVEFORM_NAME])
    monkeypatch.setattr(waveform, "_WHOLE", 4)
    monkeypatch.setattr(waveform, "decode_from", None)  # which would read all of it
    glimpsed = json.loads(artwork_of(source)[WAVEFORM_NAME])
    assert glimpsed["length"] == whole["length"]
    assert whole["data"][2:-2] == pytest.approx([-33, 32] * 8, abs=3)
    assert glimpsed["data"][2:-2] == pytest.approx(whole["data"][2:-2], abs=3)


def test_the_child_makes_the_same_artwork(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=3)
    plan = make_plan(probe(source))
    sink = Tree()
    result = encode_part(source, plan, plan.parts[-1], sink)
    assert sink.art_files == artwork_of(source)
    assert {file.name: file.size for file in result.art} == {n: len(data) for n, data in sink.art_files.items()}
    assert result.segments == ()
