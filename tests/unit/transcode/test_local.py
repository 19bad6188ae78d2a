"""A film into a folder."""

import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import (
    DestinationNotEmptyError,
    Ladder,
    NoMediaError,
    Report,
    Rung,
    TranscodeInterruptedError,
    transcode,
)
from tests.media_factory import make_clip

LADDER = Ladder(
    rungs=(
        Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),
        Rung(name="72p", short_side=72, bit_rate=120_000, max_bit_rate=180_000),
    )
)


WAVEFORM = ("waveform.json", "waveform.png")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_film_becomes_a_tree_that_plays(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=7)
    told: list[Fraction] = []
    report = transcode(source, tmp_path / "new" / "hls", ladder=LADDER, on_progress=told.append)
    folder = tmp_path / "new" / "hls"
    assert files(folder) == {
        "index.m3u8",
        "manifest.mpd",
        *(f"art/{name}" for name in ("poster.jpg", "storyboard.vtt", "storyboard_000.jpg", *WAVEFORM)),
        *(f"{name}/{file}" for name in ("72p", "36p") for file in ("index.m3u8", "iframes.m3u8")),
        "audio/index.m3u8",
        *(
            f"{name}/{file}"
            for name in ("72p", "36p", "audio")
            for file in ("init.mp4", "segment_00000.m4s", "segment_00001.m4s")
        ),
    }
    assert report.playlist == folder / "index.m3u8"
    assert report.plan.duration == 7
    assert report.size == sum(path.stat().st_size for path in folder.rglob("*.m4s"))
    assert told == sorted(told)
    assert told[-1] == 1
    with av.open(str(report.playlist), options={"allowed_extensions": "ALL", "extension_picky": "0"}) as film:
        assert sum(1 for _ in film.decode(video=0)) == 175


def test_a_report_survives_json(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=1)
    report = transcode(source, tmp_path / "hls", ladder=LADDER)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_artwork_can_be_left_out(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=1)
    report = transcode(source, tmp_path / "hls", ladder=LADDER, artwork=False)
    assert not (tmp_path / "hls" / "art").exists()
    assert report.art == ()


def test_sound_alone_becomes_a_tree(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "sound.wav", video=False, audio_codec="pcm_s16le", seconds=7)
    transcode(source, tmp_path / "hls")
    names = {"index.m3u8", "init.mp4", "segment_00000.m4s", "segment_00001.m4s"}
    assert files(tmp_path / "hls") == {
        "index.m3u8",
        "manifest.mpd",
        *(f"audio/{name}" for name in names),
        *(f"art/{name}" for name in WAVEFORM),
    }


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=0.2)
    before = source.read_bytes()
    with pytest.raises(DestinationNotEmptyError):
        transcode(source, tmp_path)
    with pytest.raises(FileExistsError):  # the same error, to who catches the builtin one
        transcode(source, tmp_path)
    assert files(tmp_path) == {"film.mp4"}
    assert source.read_bytes() == before


def test_a_file_that_is_no_film_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"\x80" * 100)
    with pytest.raises(NoMediaError):
        transcode(tmp_path / "film.mp4", tmp_path / "hls")
    assert not (tmp_path / "hls").exists()


@pytest.mark.parametrize("existed", [True, False])
def test_work_that_is_interrupted_leaves_nothing_behind(tmp_path: Path, existed: bool) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=7)
    folder = tmp_path / "hls"
    if existed:
        folder.mkdir()
    stop = threading.Event()
    with pytest.raises(TranscodeInterruptedError):
        transcode(source, folder, ladder=LADDER, on_progress=lambda _: stop.set(), cancelled=stop)
    assert folder.exists() == existed
    assert files(tmp_path) == {"film.mp4"}
