"""`mamkit demo` as a newcomer runs it: a process, a real film, and every way in which it can end."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.media_factory import make_clip

MAMKIT = [sys.executable, "-m", "mamkit_apps"]


def run(*arguments: str, cwd: Path, timeout: float = 240, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAMKIT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False, **more
    )


def survivors(marker: str) -> list[int]:
    """Return the processes that still have a text in their command line or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def failed_clearly(result: subprocess.CompletedProcess[str]) -> str:
    """Check that a command ended with one line and no traceback; return the line."""
    assert result.returncode not in {0, None}
    assert "Traceback" not in result.stderr + result.stdout
    lines = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith(("Usage:", "Try "))]
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that takes some seconds to encode."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mp4", seconds=20, width=426, height=240)


def test_a_film_goes_through_its_whole_life_and_nothing_is_left_behind(tmp_path: Path) -> None:
    make_clip(tmp_path / "film.mp4", seconds=8, width=426, height=240, b_frames=2)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = run("demo", "film.mp4", "--json", cwd=tmp_path, env=os.environ | {"TMPDIR": str(scratch)})
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert [step["step"] for step in report["steps"]] == [
        "probe the source", "register", "log in", "hash", "presign", "upload to the edge", "record", "promote",
        "build the preview", "sign", "fetch through the edge", "decode and compare", "a changed token is refused",
        "an expired token is refused", "another asset's path is refused",
    ]  # fmt: skip
    notes = {step["step"]: step["note"] for step in report["steps"]}
    assert notes["a changed token is refused"].startswith("403 signing.")
    assert "expired" in notes["an expired token is refused"]
    assert "scope" in notes["another asset's path is refused"]
    assert 0 < report["first_playable_s"] <= report["ready_s"]
    assert report["playback_url"].startswith("http://127.0.0.1:")
    assert {rendition["kind"] for rendition in report["renditions"]} == {"video", "audio"}
    assert list(scratch.iterdir()) == []
    assert survivors(str(scratch)) == []


def test_the_table_shows_every_step_the_times_and_the_url(tmp_path: Path) -> None:
    make_clip(tmp_path / "film.mp4", seconds=1)
    result = run("demo", "film.mp4", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for text in ("presign", "promote", "decode and compare", "first playable", "playback URL: http://127.0.0.1:"):
        assert text in result.stdout


def _missing(folder: Path) -> str:
    return str(folder / "nothing-here.mp4")


def _text(folder: Path) -> str:
    path = folder / "text.mp4"
    path.write_text("This is no film.\n" * 1000)
    return str(path)


def _empty(folder: Path) -> str:
    path = folder / "empty.mp4"
    path.touch()
    return str(path)


def _folder(folder: Path) -> str:
    path = folder / "folder.mp4"
    path.mkdir()
    return str(path)


@pytest.mark.parametrize("make", [_missing, _text, _empty, _folder])
def test_what_is_no_film_gives_one_clear_line(tmp_path: Path, make: Callable[[Path], str]) -> None:
    path = make(tmp_path)
    line = failed_clearly(run("demo", path, cwd=tmp_path))
    assert Path(path).name in line or "film" in line or "media" in line


def test_json_tells_of_a_failure_too(tmp_path: Path) -> None:
    result = run("demo", _text(tmp_path), "--json", cwd=tmp_path)
    failed_clearly(result)
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert "probe the source" in report["error"]


def test_a_data_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("x")
    line = failed_clearly(run("demo", "--data-dir", "mine", cwd=tmp_path))
    assert "not empty" in line
    assert (tmp_path / "mine" / "precious").read_text() == "x"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_everything_with_one_line(tmp_path: Path, film: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*MAMKIT, "demo", str(film), "--data-dir", "demo-data"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    previews = tmp_path / "demo-data" / "data" / "objects" / "previews"
    deadline = time.monotonic() + 60
    while not any(previews.rglob("*.m4s")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    line = failed_clearly(subprocess.CompletedProcess([], process.returncode, stdout, stderr))
    assert "interrupted" in line
    assert survivors(str(tmp_path)) == []


@pytest.mark.parametrize("delay", [0.2, 0.7, 1.0, 1.3, 1.6, 2.0])
def test_an_interrupt_at_any_moment_leaves_nothing(tmp_path: Path, film: Path, delay: float) -> None:
    """While commands are loaded, sockets opened, processes started or asked whether they serve."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [*MAMKIT, "demo", str(film)], cwd=tmp_path, env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode != 0
    # While the command is still being loaded, it is Python itself that is interrupted, and says so in its own way.
    assert "interrupted" in stderr or "KeyboardInterrupt" in stderr
    assert list(scratch.iterdir()) == []
    assert survivors(str(scratch)) == []


def test_services_end_when_the_demo_is_killed_outright(tmp_path: Path, film: Path) -> None:
    process = subprocess.Popen(
        [*MAMKIT, "demo", str(film), "--data-dir", "demo-data"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    previews = tmp_path / "demo-data" / "data" / "objects" / "previews"
    deadline = time.monotonic() + 60
    while not any(previews.rglob("*.m4s")) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while survivors(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert survivors(str(tmp_path)) == []


def test_a_full_disk_gives_one_clear_line(tmp_path: Path) -> None:
    """The files that a process writes are bounded to 2 MiB: an upload of 3 MiB ends as on a full disk (EFBIG)."""
    film = make_clip(tmp_path / "film.mp4", seconds=2)
    with film.open("ab") as file:  # bytes after the last box are ignored by every reader
        file.write(b"\0\0\0\0free" + b"\0" * (3 << 20))

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    line = failed_clearly(run("demo", "film.mp4", cwd=tmp_path, preexec_fn=bound))
    assert "upload" in line
    assert "507" in line


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0,
    reason="this machine does not let an ordinary user mount a file system of their own (unshare -rm)",
)
@pytest.mark.parametrize("when", ["at the start", "at the upload", "while the preview is built"])
def test_a_disk_that_is_really_full_gives_one_clear_line(tmp_path: Path, film: Path, when: str) -> None:
    (tmp_path / "small").mkdir()
    script = 'mount -t tmpfs -o size="$1" none small; shift; '
    if when == "while the preview is built":
        script += "(until find small | grep -q m4s; do sleep 0.02; done; cat /dev/zero > small/filler) 2> /dev/null & "
    size = {"at the start": 100 << 10, "at the upload": film.stat().st_size}.get(when, 64 << 20)
    result = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c", script + 'exec "$@"', "sh", str(size)),
            *(*MAMKIT, "demo", str(film), "--data-dir", "small/data"),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert any(word in failed_clearly(result) for word in ("full", "room"))
    assert survivors(str(tmp_path)) == []
