"""Files made to read others and to reach hosts: none does."""

import os
import socket
from pathlib import Path

import pytest

from mamkit.transcode import MediaError, probe
from mamkit.transcode.probing import probe_here

FOLDER = Path(os.environ.get("MAMKIT_MEDIA_DIR", Path(__file__).parents[2] / ".." / "shared" / "media"))
HOSTILE = sorted([*FOLDER.glob("21_*/*"), *FOLDER.glob("22_*/*")])

if not HOSTILE:
    pytest.skip("there is no corpus of hostile files (MAMKIT_MEDIA_DIR)", allow_module_level=True)


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.name)
def test_a_hostile_file_is_refused_and_reaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
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
            probe_here(copy)
        with pytest.raises(TimeoutError):
            server.accept()
    assert canary.stat().st_atime == 0
    assert {entry.name for entry in tmp_path.iterdir()} == {canary.name, copy.name}


@pytest.mark.parametrize("name", ["hls_file_renamed.mp4", "mov_external_dref.mov", "png_20000x20000_1bit.png"])
def test_the_child_process_refuses_them_in_the_same_words(name: str) -> None:
    [path] = [path for path in HOSTILE if path.name == name]
    with pytest.raises(MediaError) as here:
        probe_here(path)
    with pytest.raises(type(here.value)) as there:
        probe(path)
    assert str(there.value) == str(here.value)
