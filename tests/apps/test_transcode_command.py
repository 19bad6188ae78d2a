"""`mamkit transcode`: the library's job from the command line."""

import json
from pathlib import Path

from click.testing import CliRunner

from mamkit_apps.cli import cli
from tests.media_factory import make_clip

PQ = "log-level=none:colorprim=bt2020:colormatrix=bt2020nc:transfer=smpte2084"


def test_one_command_makes_a_tree_and_a_report(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "film.mp4", seconds=2, rate=10, audio=False, codec="libx265", pixel_format="yuv420p10le",
        options={"x265-params": PQ, "preset": "ultrafast"},
    )  # fmt: skip
    arguments = ["transcode", str(source), str(tmp_path / "tree"), "--no-artwork", "--hdr", "--uhd", "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [(video["name"], video["video_range"]) for video in report["plan"]["video"]] == [
        ("360p", "SDR"),
        ("360p-hdr", "PQ"),
    ]
    assert "VIDEO-RANGE=PQ" in (tmp_path / "tree" / "index.m3u8").read_text()
    assert (tmp_path / "tree" / "manifest.mpd").exists()


def test_what_transport_streams_do_not_hold_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.mp4", seconds=0.5)
    for unfit in (["--hdr"], ["--codec", "hevc"]):
        done = CliRunner().invoke(cli, ["transcode", str(source), str(tmp_path / "tree"), "--segments", "ts", *unfit])
        assert done.exit_code == 2
        assert "transport streams hold H.264 alone" in done.output
    assert not (tmp_path / "tree").exists()
