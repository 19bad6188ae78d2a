"""Files made to read others and to reach hosts: none does."""

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mamkit.transcode import Limits, MediaError, MediaTooLargeError, probe, thumbnails, transcode
from mamkit.transcode.artwork._photo import encode_thumbnails
from mamkit.transcode.probing import probe_here

FOLDER = Path(os.environ.get("MAMKIT_MEDIA_DIR", Path(__file__).parents[2] / ".." / "shared" / "media"))
HOSTILE = sorted([*FOLDER.glob("21_*/*"), *FOLDER.glob("22_*/*")])

if not HOSTILE:
    pytest.skip("there is no corpus of hostile files (MAMKIT_MEDIA_DIR)", allow_module_level=True)


def make_thumbnails_here(source: Path) -> None:
    """Make thumbnails without a child process."""
    for _ in encode_thumbnails(source):
        pass


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.name)
@pytest.mark.parametrize("use", [probe_here, make_thumbnails_here])
def test_a_hostile_file_is_refused_and_reaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path, use: Callable[[Path], object]
) -> None:
    """What the files name is replaced by a canary and by a port with a listener; no child process stands between."""
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary.ts"
    canary.write_bytes((b"\x47" + bytes(187)) * 10)
    os.utime(canary, (0, 0))  # so long ago that the next reader leaves a trace
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        data = path.read_bytes()
        if b"\0" not in data:  # in a binary file the lengths would no longer be right
            data = data.replace(b"127.0.0.1:9", b"127.0.0.1:%d" % server.getsockname()[1])
            for known in (b"/etc/passwd", b"/etc/hostname"):
                data = data.replace(known, bytes(canary))
        copy = tmp_path / path.name
        copy.write_bytes(data)
        with pytest.raises(MediaError):
            use(copy)
        with pytest.raises(TimeoutError):
            server.accept()
    assert canary.stat().st_atime == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {canary.name, copy.name}


@pytest.mark.parametrize("path", [path for path in HOSTILE if path.parent.name.startswith("22_")], ids=lambda p: p.name)
def test_a_file_that_claims_to_be_huge_is_refused_in_little_memory(tmp_path: Path, path: Path) -> None:
    limits = Limits(memory=256 << 20)  # less than a tenth of what any of them claims
    for use in (probe, partial(transcode, dest=tmp_path / "tree"), partial(thumbnails, dest=tmp_path)):
        with pytest.raises(MediaError):
            use(path, limits=limits)


@pytest.mark.parametrize("path", [path for path in HOSTILE if path.suffix == ".mp4"], ids=lambda path: path.name)
def test_ranges_of_them_reach_nothing_either(path: Path) -> None:
    """Where the parent reads for the child, which then has no file at all."""
    data = path.read_bytes()
    read: list[tuple[int, int]] = []

    class Ranges:
        name, size = path.name, len(data)

        def read(self, start: int, stop: int) -> bytes:
            read.append((start, stop))
            return data[start:stop]

    with pytest.raises(MediaError):
        probe(Ranges())
    assert read


@pytest.mark.parametrize("name", ["hls_file_renamed.mp4", "mov_external_dref.mov"])
def test_the_child_process_refuses_them_in_the_same_words(name: str) -> None:
    [path] = [path for path in HOSTILE if path.name == name]
    with pytest.raises(MediaError) as here:
        probe_here(path)
    with pytest.raises(type(here.value)) as there:
        probe(path)
    assert str(there.value) == str(here.value)


def test_of_an_image_that_is_too_large_the_child_says_how_large() -> None:
    [path] = [path for path in HOSTILE if path.name == "png_20000x20000_1bit.png"]
    with pytest.raises(MediaTooLargeError, match="pictures of 20000x20000 pixels; at most"):
        probe(path)
