"""A film that was left half done goes on where it stopped."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mamkit.transcode import (
    DestinationNotEmptyError,
    Ladder,
    RangeReader,
    Report,
    Rung,
    TranscodeInterruptedError,
    transcode,
)
from mamkit.transcode import _work as work
from mamkit.transcode.containment import contain
from tests.media_factory import make_clip

LADDER = Ladder(
    rungs=(
        Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),
        Rung(name="72p", short_side=72, bit_rate=120_000, max_bit_rate=180_000),
    )
)
SEGMENTS = 15  # five of each of three renditions
JOURNAL = ".mamkit-transcode"

KILLED = """
import os, signal, sys
from mamkit.transcode import Ladder, Rung, _destination, transcode

take, taken = _destination.Destination.take_segment, []

def counting(self, segment, data):
    take(self, segment, data)
    taken.append(segment)
    if len(taken) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

_destination.Destination.take_segment = counting
rungs = (Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),
         Rung(name="72p", short_side=72, bit_rate=120_000, max_bit_rate=180_000))
transcode(sys.argv[1], sys.argv[2], ladder=Ladder(rungs=rungs), resume=True)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("resume") / "film.mp4", seconds=26)


def killed(clip: Path, folder: Path, *, after: int) -> None:
    """Leave what a process leaves that is killed once it has written so many segments."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(clip), str(folder), str(after)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (folder / "index.m3u8").exists()


def resumed(clip: Path, folder: Path) -> tuple[Report, list[Fraction]]:
    told: list[Fraction] = []
    report = transcode(clip, folder, ladder=LADDER, resume=True, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert not [path for path in folder.rglob(".*") if path.is_file()]
    with av.open(str(report.playlist), options={"allowed_extensions": "ALL", "extension_picky": "0"}) as film:
        assert sum(1 for _ in film.decode(video=0)) == 26 * 25
    assert len(report.segments) == SEGMENTS
    assert report.size == sum(path.stat().st_size for path in folder.rglob("*.m4s"))
    return report, told


def found(report: Report) -> int:
    [note] = [note for note in report.notes if "were there already" in note]
    return int(note.split()[0])


@pytest.mark.parametrize("after", [1, 8])
def test_a_film_whose_maker_was_killed_is_finished_by_the_same_call(clip: Path, tmp_path: Path, after: int) -> None:
    folder = tmp_path / "hls"
    killed(clip, folder, after=after)
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("segment_00000.m4s")}
    report, told = resumed(clip, folder)
    assert found(report) == after
    if after == 8:
        whole = {path for path in kept if "audio" not in path.parts}
        assert len(whole) == 2
        assert all(path.stat().st_mtime_ns == kept[path] for path in whole)  # not made again
        assert told[0] > 0


def test_a_segment_that_is_not_whole_is_made_again(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    killed(clip, folder, after=8)
    first = folder / "72p" / "segment_00000.m4s"
    size = first.stat().st_size
    first.write_bytes(bytes(size))  # as a file system leaves it whose machine lost its power
    (folder / "72p" / ".segment_00003.m4s.part").write_bytes(b"half")
    with (folder / JOURNAL).open("ab") as journal:
        journal.write(b'{"segment": {"rendi')
    report, _ = resumed(clip, folder)
    assert found(report) == 7
    assert first.read_bytes() != bytes(size)


def test_what_is_finished_stays_when_the_work_is_interrupted(clip: Path, tmp_path: Path) -> None:
    folder, stop = tmp_path / "hls", threading.Event()

    def stop_in_the_middle(done: Fraction) -> None:
        if done > Fraction(3, 10):
            stop.set()

    with pytest.raises(TranscodeInterruptedError):
        transcode(clip, folder, ladder=LADDER, resume=True, cancelled=stop, on_progress=stop_in_the_middle)
    report, told = resumed(clip, folder)
    assert found(report) > 0
    assert told[0] > 0


def test_the_beginning_of_another_film_is_left_alone(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    killed(clip, folder, after=3)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = make_clip(tmp_path / "other.mp4", seconds=2)
    for source, copy, resume in ((other, True, True), (clip, False, True), (clip, True, False)):
        with pytest.raises(DestinationNotEmptyError):
            transcode(source, folder, ladder=LADDER, copy=copy, resume=resume)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_process_that_was_killed_at_its_first_step_is_no_hindrance(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "hls").mkdir()
    (tmp_path / "hls" / JOURNAL).write_bytes(b'{"source": [12')
    report, _ = resumed(clip, tmp_path / "hls")
    assert not [note for note in report.notes if "already" in note]


def test_two_processes_do_not_write_to_one_folder(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    killed(clip, folder, after=3)
    held = os.open(folder / JOURNAL, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(DestinationNotEmptyError, match="another process"):
        transcode(clip, folder, ladder=LADDER, resume=True)
    os.close(held)


def test_an_account_that_somebody_else_wrote_leads_nowhere(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "hls"
    killed(clip, folder, after=3)
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0")
    lines = (
        '{"segment": {"rendition": "../..", "index": 0, "duration": "6", "size": 1}, "crc": 0}',
        '{"art": {"name": "../../secret", "size": 1}, "crc": 3523407757}',  # its true checksum
        '{"init": {"rendition": "../evil", "size": 1, "codecs": "avc1", "sha256": "00"}, "header": "00"}',
        '{"whole": "everything"}',
        "[]",
    )
    with (folder / JOURNAL).open("a") as journal:
        journal.writelines(f"{line}\n" for line in lines)
    report, _ = resumed(clip, folder)
    assert found(report) == 3
    assert not [file for file in report.art if "secret" in file.name]
    assert not (tmp_path / "a" / "evil").exists()


def test_several_workers_make_the_same_film(clip: Path, tmp_path: Path) -> None:
    class Reader:
        name, size = clip.name, clip.stat().st_size
        readers = 0

        def read(self, start: int, stop: int) -> bytes:
            Reader.readers += 1
            assert Reader.readers == 1, "two threads read at once"
            data = clip.read_bytes()[start:stop]
            Reader.readers -= 1
            return data

    assert isinstance(Reader(), RangeReader)
    report = transcode(Reader(), tmp_path / "hls", ladder=LADDER, workers=3)
    assert len(report.segments) == SEGMENTS
    with av.open(str(report.playlist), options={"allowed_extensions": "ALL", "extension_picky": "0"}) as film:
        assert sum(1 for _ in film.decode(video=0)) == 26 * 25


def test_when_one_worker_fails_the_others_stop_and_nothing_is_left(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = contain.encode_part

    def failing(*args: object, **kwargs: object) -> object:
        if args[2].kind == "audio":  # type: ignore[attr-defined]
            raise RuntimeError("no sound")
        return encode(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "encode_part", failing)
    with pytest.raises(RuntimeError, match="no sound"):
        transcode(clip, tmp_path / "hls", ladder=LADDER)
    assert not (tmp_path / "hls").exists()
