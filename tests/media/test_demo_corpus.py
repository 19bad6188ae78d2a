"""`mamkit demo` on real files made by others, where their folder is: MAMKIT_MEDIA_DIR, `../shared/media` by default."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEDIA = Path(os.environ.get("MAMKIT_MEDIA_DIR", ROOT.parent / "shared" / "media"))
CHECK = MEDIA.parent / "tools" / "hls_check.py"

pytestmark = pytest.mark.skipif(not MEDIA.is_dir(), reason="there is no folder of real media (MAMKIT_MEDIA_DIR)")

FILMS = {
    "HD footage": "01_hd_footage_audio/bunny_hd_5s.mp4",
    "HD footage, longer": "01_hd_footage_audio/bbb_1080p25_first17s_5.1.ts",
    "rotated phone video": "03_rotated_portrait/with-gps.mov",
    "rotated HD": "03_rotated_portrait/internal_emulator_transformer_output_270_rotated.mp4",
    "without audio": "15_no_audio/sample_video_only.mp4",
    "audio only": "12_audio_only/mono.mp3",
}


@pytest.mark.parametrize("path", FILMS.values(), ids=FILMS.keys())
def test_the_demo_succeeds_on_a_real_file(path: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = subprocess.run(
        [sys.executable, "-m", "mamkit_apps.cli", "demo", str(MEDIA / path), "--json", "--data-dir", str(home)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert report["renditions"]
    [playlist] = (home / "data" / "objects" / "previews").glob("*/*/index.m3u8")
    if CHECK.exists():
        checked = subprocess.run(
            [sys.executable, str(CHECK), str(playlist), "--source", str(MEDIA / path)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stdout
