"""The facts of films that are known to the frame."""

import struct
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import pytest

from mamkit.transcode import (
    Limits,
    MediaInfo,
    MediaTooLargeError,
    MediaUnreadableError,
    NoMediaError,
    make_plan,
)
from mamkit.transcode.probing import probe_here
from mamkit.transcode.reading import _scan as scan
from mamkit.transcode.reading._decode import decode_from
from tests.media_factory import make_clip

FRAME = Fraction(1, 25)


def test_the_facts_of_an_ordinary_film(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=2, languages=("fra", None))
    info = probe_here(path)
    [video] = info.video
    first, second = info.audio
    assert info.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert info.size == path.stat().st_size
    assert info.start == video.start == first.start == 0
    assert info.duration == video.duration == first.duration == 2
    assert (video.codec, video.width, video.height, video.pixel_format) == ("h264", 128, 72, "yuv420p")
    assert video.frame_rate == 25
    assert (video.rotation, video.bit_depth, video.hdr) == (0, 8, None)
    assert not any((video.variable_frame_rate, video.interlaced, video.mirrored))
    assert (first.codec, first.sample_rate, first.channels, first.layout) == ("aac", 48_000, 2, "stereo")
    assert (first.language, second.language) == ("fra", None)
    assert first.default
    assert info.unusable == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov"])
@pytest.mark.parametrize(
    "rate", [Fraction(24_000, 1001), Fraction(25), Fraction(30_000, 1001), Fraction(60_000, 1001)], ids=str
)
def test_rates_are_exact_in_every_container(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    """Matroska rounds to milliseconds, and transport streams to 1/90000 s; the output's rate does not show it."""
    info = probe_here(make_clip(tmp_path / f"clip.{suffix}", seconds=2, rate=rate, b_frames=2, audio=False))
    assert abs(info.video[0].frame_rate - rate) < rate / 10_000
    assert make_plan(info).frame_rate == rate
    assert not info.video[0].variable_frame_rate
    assert abs(info.duration - round(2 * rate) / rate) < Fraction(1, 500)


def test_a_film_may_begin_later_than_its_clock(tmp_path: Path) -> None:
    info = probe_here(make_clip(tmp_path / "clip.ts", seconds=1, start=10, b_frames=2))
    assert info.video[0].start == 10
    assert abs(info.video[0].start - info.audio[0].start) < Fraction(1, 20)
    assert abs(info.duration - 1) < Fraction(1, 20)


def test_films_with_decode_times_only_begin_where_they_begin(tmp_path: Path) -> None:
    """AVI says when a picture is decoded, not when it is shown; B-frames make the two differ."""
    info = probe_here(make_clip(tmp_path / "clip.avi", seconds=2, b_frames=2, audio_codec="ac3"))
    assert info.video[0].start == info.audio[0].start == 0
    assert info.video[0].duration == 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("after", [1, 3, 4, 10])
def test_a_gap_before_reordered_pictures_does_not_make_a_film_longer(tmp_path: Path, suffix: str, after: int) -> None:
    """MP4 says how long a picture lasts until the next one is *decoded*: that may be one shown long before the end."""
    before = [n * FRAME for n in range(25)]
    times = [*before, *(before[-1] + Fraction(3) + n * FRAME for n in range(after))]
    options = {"preset": "fast", "b_strategy": "0"}
    info = probe_here(make_clip(tmp_path / f"c.{suffix}", times=times, b_frames=3, options=options, audio=False))
    assert abs(info.duration - (times[-1] + FRAME)) < Fraction(1, 500)


def test_a_rate_that_varies_is_averaged(tmp_path: Path) -> None:
    times = [Fraction(n * n, 300) for n in range(30)]
    info = probe_here(make_clip(tmp_path / "clip.mp4", times=times, audio=False))
    assert info.video[0].variable_frame_rate
    assert abs(info.video[0].frame_rate - 29 / times[-1]) < Fraction(1, 100)


def test_pictures_that_were_dropped_do_not_make_a_rate_variable(tmp_path: Path) -> None:
    times = [Fraction(n, 25) for n in range(75) if n not in (20, 40, 41)]
    info = probe_here(make_clip(tmp_path / "clip.mkv", times=times, audio=False))
    assert not info.video[0].variable_frame_rate
    assert abs(info.video[0].frame_rate - 25) < Fraction(1, 50)
    assert abs(info.duration - 3) < Fraction(1, 100)


def test_slides_that_stand_for_an_hour_are_a_film(tmp_path: Path) -> None:
    info = probe_here(make_clip(tmp_path / "clip.mkv", times=[Fraction(0), Fraction(3600)], audio=False))
    assert info.video[0].frame_rate > 0
    assert abs(info.duration - 3600) < 1


def test_a_single_picture_is_a_short_film(tmp_path: Path) -> None:
    info = probe_here(make_clip(tmp_path / "clip.mp4", seconds=0.04, audio=False))
    assert info.video[0].frame_rate == 25
    assert info.duration == FRAME


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_orientation(tmp_path: Path, rotation: Literal[0, 90, 180, 270], mirrored: bool) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=0.2, audio=False, rotation=rotation, mirrored=mirrored)
    [video] = probe_here(path).video
    assert (video.rotation, video.mirrored) == (rotation, mirrored)
    assert (video.width, video.height) == (128, 72)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=0.2, audio=False, sample_aspect_ratio=Fraction(16, 15))
    assert probe_here(path).video[0].sample_aspect_ratio == Fraction(16, 15)


def test_interlacing_is_seen_in_the_pictures(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.ts", seconds=0.5, audio=False, options={"flags": "+ildct+ilme"})
    assert probe_here(path).video[0].interlaced
    assert probe_here(path).video[0].frame_rate == 25


def test_colour_and_depth(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "clip.mkv",
        seconds=0.2,
        audio=False,
        pixel_format="yuv420p10le",
        options={"color_primaries": "bt2020", "color_trc": "smpte2084", "colorspace": "bt2020nc", "color_range": "tv"},
    )
    [video] = probe_here(path).video
    assert (video.pixel_format, video.bit_depth) == ("yuv420p10le", 10)
    assert (video.color_primaries, video.color_transfer, video.color_space) == ("bt2020", "smpte2084", "bt2020nc")
    assert (video.color_range, video.hdr) == ("tv", "hdr10")


def test_sound_alone_is_a_source(tmp_path: Path) -> None:
    info = probe_here(
        make_clip(tmp_path / "a.wav", video=False, audio_codec="pcm_s16le", sample_rate=44_100, layout="mono")
    )
    [audio] = info.audio
    assert info.video == ()
    assert (audio.codec, audio.sample_rate, audio.channels, audio.layout) == ("pcm_s16le", 44_100, 1, "mono")
    assert info.duration == 2


@pytest.mark.parametrize(("container", "codec"), [("latm", "aac"), ("voc", "pcm_s16le"), ("rm", "ac3")])
def test_sound_of_broadcasts_and_old_recorders_is_a_source(tmp_path: Path, container: str, codec: str) -> None:
    path = tmp_path / f"sound.{container}"
    info = probe_here(make_clip(path, seconds=2, video=False, audio_codec=codec, container=container))
    assert abs(info.duration - 2) <= Fraction(2 * 1536, 48_000)  # two frames of AC-3, the longest of an encoder
    assert not info.video


def test_a_film_cut_short_is_as_long_as_what_is_there(tmp_path: Path) -> None:
    """The header promises four seconds; half of the pictures are gone."""
    path = make_clip(tmp_path / "clip.mp4", seconds=4, audio=False, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert Fraction(1) < probe_here(path).duration < Fraction(3)


def test_pictures_without_times_last_as_long_as_there_are_pictures(tmp_path: Path) -> None:
    """An elementary stream has no times: each picture follows the one before."""
    info = probe_here(make_clip(tmp_path / "clip.h264", seconds=3, audio=False, container="h264", b_frames=2))
    assert info.duration == 3
    assert info.video[0].frame_rate == 25
    assert not info.video[0].variable_frame_rate


def test_a_film_of_which_no_picture_is_left_is_unreadable(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=1, audio=False, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    pictures = data.index(b"mdat") + 4
    path.write_bytes(data[:pictures] + b"\xff" * (len(data) - pictures))
    with pytest.raises(MediaUnreadableError, match="no picture or sound"):
        probe_here(path)


def test_a_stream_that_cannot_be_decoded_is_left_out_and_named(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", seconds=1)
    data = path.read_bytes()
    assert data.count(b"A_AAC") == 1
    path.write_bytes(data.replace(b"A_AAC", b"A_XYZ"))
    info = probe_here(path)
    assert len(info.video) == 1
    assert info.audio == ()
    assert info.unusable == ("stream 1 (sound, unknown codec) cannot be decoded",)


def test_a_container_with_nothing_in_it_is_no_media(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.write_bytes(b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x08moov")
    with pytest.raises(NoMediaError, match="neither moving pictures nor sound"):
        probe_here(path)


@pytest.mark.parametrize(
    ("limits", "quantity", "value"),
    [
        (Limits(pixels=128 * 72 - 1), "pixels", 128 * 72),
        (Limits(duration=timedelta(seconds=1)), "seconds", 2),
        (Limits(streams=2), "streams", 3),
    ],
)
def test_what_is_beyond_the_limits_is_refused(tmp_path: Path, limits: Limits, quantity: str, value: float) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=2, languages=("fra", "eng"))
    with pytest.raises(MediaTooLargeError, match=quantity) as caught:
        probe_here(path, limits)
    assert (caught.value.quantity, caught.value.value) == (quantity, value)
    assert caught.value.limit < value


def test_sound_of_an_unheard_of_rate_is_left_out(tmp_path: Path) -> None:
    """No resampler can make room for what two thousand million samples a second ask for."""
    path = make_clip(tmp_path / "sound.wav", seconds=1, video=False, audio_codec="pcm_s16le")
    data = bytearray(path.read_bytes())
    rate = data.index(b"fmt ") + 12  # behind the size of the chunk, the format and the number of channels
    data[rate : rate + 4] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    with pytest.raises(MediaUnreadableError, match="no picture or sound") as caught:
        probe_here(path)
    assert caught.value.detail == "it has 2147483647 samples per second"


def test_limits_are_positive() -> None:
    for wrong in ({"pixels": 0}, {"streams": -1}, {"memory": 0}, {"stall": timedelta(0)}, {"time": timedelta(-1)}):
        with pytest.raises(ValueError, match="larger than zero"):
            Limits(**wrong)


def test_the_end_of_a_large_film_is_found_without_reading_it_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(tmp_path / "clip.mp4", seconds=20, width=64, height=64)
    whole = probe_here(path)
    monkeypatch.setattr(scan, "_READ_THROUGH", 0)
    monkeypatch.setattr(scan, "_HEAD_PACKETS", 100)
    assert probe_here(path) == whole


@pytest.mark.parametrize("cut", [0.4, 0.9])
def test_the_end_of_a_large_film_cut_short_is_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: float
) -> None:
    options = {"movflags": "faststart"}
    path = make_clip(tmp_path / "clip.mp4", seconds=20, width=64, height=64, audio=False, container_options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    whole: MediaInfo = probe_here(path)
    monkeypatch.setattr(scan, "_READ_THROUGH", 0)
    monkeypatch.setattr(scan, "_HEAD_PACKETS", 100)
    assert abs(probe_here(path).duration - whole.duration) < Fraction(1, 10)


def test_tags_in_an_encoding_that_nobody_knows_do_no_harm(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", seconds=0.5, languages=("fra",))
    data = path.read_bytes()
    assert data.count(b"fra") >= 1
    path.write_bytes(data.replace(b"fra", b"\xff\xfe\x00"))
    assert len(probe_here(path).audio) == 1


def test_sound_that_comes_after_all_pictures_is_found(tmp_path: Path) -> None:
    """Some recorders write it there; more than five thousand packets lie before it."""
    source = make_clip(
        tmp_path / "film.mkv", seconds=55, rate=150, width=32, height=18, sample_rate=8_000, layout="mono"
    )
    info = probe_here(source)
    assert [stream.sample_rate for stream in info.audio] == [8_000]
    assert info.unusable == ()


def test_a_stream_that_shows_up_in_the_middle_ends_no_film(tmp_path: Path) -> None:
    """The header of an FLV need not say that there is sound: it is found when it comes, maybe too late."""

    def tags(data: bytes) -> Iterator[bytes]:
        at = 9 + 4  # header, and the size of the tag before the first: FLV specification 10.1, annexes E.2 and E.3
        while at < len(data):
            size = 11 + int.from_bytes(data[at + 1 : at + 4]) + 4
            yield data[at : at + size]
            at += size

    pictures = make_clip(tmp_path / "pictures.flv", seconds=12, rate=10, width=64, height=48, audio=False)
    sound = make_clip(tmp_path / "sound.flv", seconds=1, video=False)
    late = b"".join(tag for tag in tags(sound.read_bytes()) if tag[0] == 8)
    film = tmp_path / "film.flv"
    film.write_bytes(pictures.read_bytes() + late)
    info = probe_here(film)
    assert info.duration == 12
    assert not info.audio
    assert len([each for each in decode_from(film, [0], None) if isinstance(each.frame, av.VideoFrame)]) == 120


def test_sound_that_an_edit_list_pushes_past_the_end_of_the_movie_is_left_out(tmp_path: Path) -> None:
    """Unless the header says that the movie goes on after its last picture."""
    clip = make_clip(tmp_path / "clip.mp4", seconds=2)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "late.mp4"), "w") as late:
        tracks = {stream.index: late.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None and packet.pts is not None and packet.time_base is not None:
                shift = round(Fraction(7, 10) / packet.time_base) if packet.stream.type == "audio" else 0
                packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                packet.stream = tracks[packet.stream.index]
                late.mux(packet)
    data = bytearray((tmp_path / "late.mp4").read_bytes())
    assert float(probe_here(tmp_path / "late.mp4").duration) == pytest.approx(2.7, abs=0.05)
    at = data.index(b"mvhd") + 4 + 16  # version and flags, two dates, time scale (1000): ISO/IEC 14496-12 8.2.2
    data[at : at + 4] = (2000).to_bytes(4)
    (tmp_path / "over.mp4").write_bytes(data)
    info = probe_here(tmp_path / "over.mp4")
    assert info.duration == 2
    assert info.audio[0].start > Fraction(1, 2)


def test_pictures_beside_which_something_unheard_of_stands_are_shown_upright(tmp_path: Path) -> None:
    """The Exif block of each picture of a camera's Motion JPEG, for which PyAV has no name."""
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 0)  # to be turned by 90 degrees
    marker = b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif
    clip = make_clip(tmp_path / "plain.mov", seconds=1, rate=10, audio=False, codec="mjpeg", pixel_format="yuvj420p")
    with av.open(str(clip)) as source, av.open(str(tmp_path / "camera.mov"), "w") as camera:
        track = camera.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                image = bytes(packet)
                tagged = av.Packet(image[:2] + marker + image[2:])
                tagged.pts, tagged.dts, tagged.time_base = packet.pts, packet.dts, packet.time_base
                tagged.duration, tagged.stream = packet.duration, track
                camera.mux(tagged)
    info = probe_here(tmp_path / "camera.mov")
    assert (info.video[0].rotation, info.video[0].width, info.video[0].height) == (90, 128, 72)


@pytest.mark.parametrize("suffix", ["mpg", "mkv"])
def test_recordings_behind_each_other_that_cannot_be_joined_are_not_shortened_silently(
    tmp_path: Path, suffix: str
) -> None:
    clip = make_clip(tmp_path / f"clip.{suffix}", seconds=3, codec="mpeg2video", audio_codec="mp2")
    assert not probe_here(clip).unusable
    both = tmp_path / f"both.{suffix}"
    both.write_bytes(2 * clip.read_bytes())
    [sentence] = probe_here(both).unusable
    assert "shown twice is left out" in sentence
