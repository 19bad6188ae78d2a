"""Real films of all kinds: facts that agree with what others measured, or an error that says what is wrong.

The films lie in the folder that `MAMKIT_MEDIA_DIR` names (by default `../shared/media` beside the project), with a
`MANIFEST.tsv` of their facts. Where there is none, these tests are skipped.
"""

import csv
import os
from fractions import Fraction
from pathlib import Path

import pytest

from mamkit.transcode import (
    EmptyFileError,
    MediaEncryptedError,
    MediaError,
    MediaInfo,
    MediaUnsupportedError,
    make_plan,
    probe,
)
from mamkit.transcode.probing import probe_here

FOLDER = Path(os.environ.get("MAMKIT_MEDIA_DIR", Path(__file__).parents[2] / ".." / "shared" / "media"))

if not (FOLDER / "MANIFEST.tsv").exists():
    pytest.skip("there is no corpus of real films (MAMKIT_MEDIA_DIR)", allow_module_level=True)

with (FOLDER / "MANIFEST.tsv").open(newline="") as manifest:
    FILMS = {row["path"]: row for row in csv.DictReader(manifest, delimiter="\t")}

REFUSED = {
    "13_still_images": MediaUnsupportedError,
    "19_encrypted": MediaEncryptedError,
    "21_hostile_reference": MediaError,
    "22_resource_bombs": MediaError,
}
# Of the broken films these can be shown in part.
PARTLY_USABLE = {"20_corrupt/100kB-garbage-prefix.mp3", "20_corrupt/sample_missing_stsd.mp4"}

# Where the manifest's duration is not that of picture and sound: wrong headers, data streams, and empty edits.
OTHER_DURATION = {
    "09_mpegts/sample_scte35.ts": Fraction(111, 1000),
    "17_edit_list_timestamps/bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": Fraction(4),
    "18_fragmented/sample_fragmented.mp4": Fraction(1068, 1000),
}


def names(*categories: str) -> list[str]:
    return [name for name, row in FILMS.items() if row["category"].startswith(categories)]


def usable() -> list[str]:
    return [n for n in FILMS if FILMS[n]["category"] not in (*REFUSED, "20_corrupt")]


@pytest.mark.parametrize("name", usable())
def test_the_facts_are_those_of_the_manifest(name: str) -> None:
    facts, info = FILMS[name], probe_here(FOLDER / name)
    assert info.container == facts["container"]
    expected = OTHER_DURATION.get(name, Fraction(facts["duration_s"]))
    # A quarter of a second covers subtitles and the padding of encoders, which the manifest's durations hold.
    assert abs(info.duration - expected) <= max(Fraction(1, 4), expected / 50)
    assert bool(info.video) == (facts["video_codec"] not in ("-", "png"))
    if info.video:
        check_picture(info, facts)
    channels = [] if facts["audio_channels"] == "-" else [int(n) for n in facts["audio_channels"].split("+")]
    assert [stream.channels for stream in info.audio] == channels
    if channels:
        expected_languages = [None if tag in ("und", "-") else tag for tag in facts["audio_langs"].split("+")]
        assert [stream.language for stream in info.audio] == expected_languages
    subtitles = [] if facts["subtitles"] == "-" else facts["subtitles"].split("+")
    assert tuple(stream.codec for stream in info.subtitles) == tuple(subtitle.split(":")[0] for subtitle in subtitles)
    # A recording of a broadcast may begin with sound whose pictures it missed.
    missed = Fraction(1) if info.container == "mpegts" else Fraction(1, 2)
    assert make_plan(info).duration >= info.duration - missed


def check_picture(info: MediaInfo, facts: dict[str, str]) -> None:
    [video] = info.video
    assert video.codec == facts["video_codec"]
    assert f"{video.width}x{video.height}" == facts["WxH"]
    assert video.pixel_format == facts["pix_fmt"]
    assert -video.rotation % 360 == int(facts["rotation"]) % 360  # the manifest counts counterclockwise
    assert video.interlaced == (facts["scan"].startswith(("Interlaced", "MBAFF")))
    if facts["SAR"] != "-":
        assert video.sample_aspect_ratio == Fraction(facts["SAR"].replace(":", "/"))
    if facts["color_trc"] != "-":
        assert (video.color_transfer, video.color_primaries) == (facts["color_trc"], facts["color_primaries"])
    claimed = [Fraction(facts[key]) for key in ("avg_fps", "r_fps") if not facts[key].endswith("/0")]
    if all(rate <= 120 for rate in claimed):  # others are time bases, not rates
        assert min(abs(video.frame_rate - rate) / rate for rate in claimed) < Fraction(5, 100)


@pytest.mark.parametrize("name", names(*REFUSED))
def test_what_is_no_film_is_refused_by_name(name: str) -> None:
    with pytest.raises(REFUSED[FILMS[name]["category"]]):
        probe(FOLDER / name)


@pytest.mark.parametrize("name", names("20_corrupt"))
def test_a_broken_film_is_usable_in_part_or_refused_by_name(name: str) -> None:
    if name in PARTLY_USABLE:
        assert probe(FOLDER / name).duration > 0
        return
    with pytest.raises(MediaError) as caught:
        probe(FOLDER / name)
    assert isinstance(caught.value, EmptyFileError) == (FILMS[name]["size"] == "0")


def test_mirrors_and_dolby_vision_are_seen() -> None:
    mirrored = probe_here(FOLDER / "03_rotated_portrait" / "sample_rotate_and_reflect.mp4").video[0]
    assert (mirrored.rotation, mirrored.mirrored) == (90, True)
    assert probe_here(FOLDER / "06_hdr_10bit" / "dolbyVision-hdr.MOV").video[0].hdr == "dolby-vision"
    assert probe_here(FOLDER / "06_hdr_10bit" / "hdr10-av1.mp4").video[0].hdr == "hdr10"
    assert probe_here(FOLDER / "06_hdr_10bit" / "hlg10-color-test.mp4").video[0].hdr == "hlg"


def test_cover_art_is_no_film() -> None:
    info = probe_here(FOLDER / "12_audio_only" / "huge-id3.mp3")
    assert info.cover_art
    assert info.video == ()
