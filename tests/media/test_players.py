"""A preview in real players in headless Chromium, where a driver of them is.

MAMKIT_PLAYERS_DIR names a folder with `play.mjs DIR PLAYLIST --player …` and its `node_modules`: it serves a tree,
plays it, seeks, and exits with 0 if nothing went wrong.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mamkit.transcode import DEFAULT_LADDER, Ladder, local, transcode
from tests.failing_card import use_card
from tests.media_factory import make_clip

PLAYERS = Path(os.environ.get("MAMKIT_PLAYERS_DIR", "/nonexistent"))
MISSING = [
    name
    for name, there in (
        ("a folder of players (MAMKIT_PLAYERS_DIR)", (PLAYERS / "play.mjs").exists()),
        ("node", shutil.which("node")),
        ("chromium", shutil.which("chromium")),
    )
    if not there
]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"there is no {' and no '.join(MISSING)}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a film of two segments in two sizes."""
    folder = tmp_path_factory.mktemp("players")
    source = make_clip(folder / "film.mp4", seconds=9, width=854, height=480)
    transcode(source, folder / "out", ladder=Ladder(rungs=DEFAULT_LADDER.rungs[:2]))
    return folder / "out"


@pytest.mark.parametrize(
    ("playlist", "player"),
    [("index.m3u8", "hls"), ("index.m3u8", "shaka"), ("manifest.mpd", "shaka"), ("manifest.mpd", "dashjs")],
)
def test_it_plays_across_a_seam_and_seeks(tree: Path, playlist: str, player: str) -> None:
    """From the start over the border of the first segment, and back into the first one."""
    command = ["node", str(PLAYERS / "play.mjs"), str(tree), playlist, "--player", player]
    done = subprocess.run(
        [*command, "--seconds", "7", "--seek", "3", "--max-dropped-pct", "90"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a film whose first segments are a card's, and those from the middle of a part on the processor's."""
    folder = tmp_path_factory.mktemp("mixed")
    source = make_clip(folder / "film.mp4", seconds=20, width=854, height=480)
    with pytest.MonkeyPatch.context() as patch:
        use_card(patch, fails=400, height=480)
        patch.setattr(local, "choose_devices", lambda *_, **__: ({"h264": "nvenc"}, ()))
        report = transcode(source, folder / "out", ladder=Ladder(rungs=DEFAULT_LADDER.rungs[:2]), copy=False)
    assert any("card failed" in note for note in report.notes)
    return folder / "out"


@pytest.mark.parametrize(
    ("playlist", "player"),
    [("index.m3u8", "hls"), ("index.m3u8", "shaka"), ("manifest.mpd", "shaka"), ("manifest.mpd", "dashjs")],
)
def test_it_plays_from_a_cards_segments_into_the_processors(mixed: Path, playlist: str, player: str) -> None:
    command = ["node", str(PLAYERS / "play.mjs"), str(mixed), playlist, "--player", player]
    done = subprocess.run(
        [*command, "--seconds", "20", "--seek", "3", "--max-dropped-pct", "90"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
