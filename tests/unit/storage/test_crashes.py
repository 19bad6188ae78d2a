"""Processes that are killed, race each other, or run out of room leave every object whole."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.storage import LocalStore, ObjectNotFoundError
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, emptied, store_on

KILLED = Path(__file__).parent / "killed.py"

WRITER = """
import sys, itertools
from mamkit.storage import LocalStore
store = LocalStore(sys.argv[1], durable=False)
print("ready", flush=True)
for number in itertools.count():
    byte = str(number % 10).encode()
    store.put("a/b.mp4", [byte * 50_000] * (number % 7), metadata={"byte": byte.decode()})
"""

HALF = """
import sys
from mamkit.storage import LocalStore
store = LocalStore(sys.argv[1])
with store.upload("new.mp4") as new, store.upload("old.mp4") as old:
    new.write(b"half" * 100_000)
    old.write(b"half" * 100_000)
    print("ready", flush=True)
    sys.stdin.read()
"""

HALF_ON_S3 = """
import sys
from mamkit.storage.s3 import S3Options, S3Store
endpoint, access_key, secret_key, bucket = sys.argv[1:]
options = S3Options(endpoint=endpoint, access_key=access_key, secret_key=secret_key, part_size=5 << 20, concurrency=1)
store = S3Store(bucket, options)
with store.upload("old.mp4") as old, store.upload("new.mp4", if_absent=True) as new:
    for upload in (old, new):
        for _ in range(3):
            upload.write(b"half" * (5 << 18))
    print("ready", flush=True)
    sys.stdin.read()
"""

RACER = """
import sys
from mamkit.storage import LocalStore, ObjectExistsError
store = LocalStore(sys.argv[1], durable=False)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    try:
        store.put(f"masters/{number}/a.mp4", sys.argv[2].encode() * 1000, if_absent=True)
        print(number)
    except ObjectExistsError:
        pass
"""

PROMOTER = """
import sys
from mamkit.storage import LocalStore, Zones, promote
root, sha256 = sys.argv[1:]
zones = Zones(staging=LocalStore(root + "/s"), masters=LocalStore(root + "/m"), previews=LocalStore(root + "/m"))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    print(promote(zones, staged="a.mp4", master=f"v{number}/a.mp4", size=500_000, sha256=sha256))
"""

FULL = """
import errno, resource, sys
from pathlib import Path
from mamkit.storage import LocalStore, StorageFullError
store = LocalStore(sys.argv[1])
store.put("a.mp4", b"old", content_type="video/mp4")
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kept, error = [], None
for number in range(100):
    try:
        store.put(f"{number}/film.mp4", b"x" * 150_000)
        kept.append(f"{number}/film.mp4")
        store.put("a.mp4", b"y" * 250_000)
        store.put("a.mp4", b"old", content_type="video/mp4")
    except StorageFullError as full:
        error = full
        break
assert error is not None, "there was room for everything"
assert isinstance(error, OSError)
assert error.__cause__.errno == error.errno
root = Path(sys.argv[1])
assert list((root / ".scratch").iterdir()) == []
assert sorted(info.key for info in store.list()) == sorted([*kept, "a.mp4"])
for info in store.list():
    with store.get(info.key) as body:
        data = body.read()
    assert info.sha256 is not None
    assert data == b"x" * 150_000 if info.key != "a.mp4" else data in {b"old", b"y" * 250_000}
for key in kept:
    store.delete(key)
store.put("small", b"there is room again")
print(errno.errorcode[error.errno])
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("scenario", ["put", "replace", "if_absent", "copy", "copy_over", "delete", "promote"])
def test_a_kill_between_any_two_file_operations_leaves_old_or_new(scenario: str, tmp_path: Path) -> None:
    """And never bytes of one write with the facts of another, nor anything that stands in the way of the next."""
    done = subprocess.run(
        [sys.executable, KILLED, scenario, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4


def test_a_process_killed_in_the_middle_of_an_upload_leaves_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    old = store.put("old.mp4", b"old")
    with start(HALF, str(tmp_path)) as process:
        assert len(list((tmp_path / ".scratch").iterdir())) == 2
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert list(store.list()) == [old]
    with pytest.raises(ObjectNotFoundError):
        store.head("new.mp4")
    LocalStore(tmp_path)
    assert list((tmp_path / ".scratch").iterdir()) == []


@pytest.mark.parametrize("server", ["weed", "ceph"])
def test_a_process_killed_in_the_middle_of_an_upload_to_s3_shows_nothing(
    server: str, request: pytest.FixtureRequest
) -> None:
    """What it leaves takes room under no key, and goes when the next one asks for that."""
    endpoint = request.getfixturevalue(server)
    with store_on(endpoint, "killed") as store:
        emptied(store)
        store.put("old.mp4", b"old")
        with start(HALF_ON_S3, endpoint, ACCESS_KEY, SECRET_KEY, "killed") as process:
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert [info.key for info in store.list()] == ["old.mp4"]
        with pytest.raises(ObjectNotFoundError):
            store.head("new.mp4")
    with store_on(endpoint, "killed") as after:
        assert list(after.unfinished(older_than=timedelta(hours=1))) == []
        assert after.remove_unfinished(older_than=timedelta(hours=1)) == ()
        left = tuple(after.unfinished(older_than=timedelta(0)))
        assert len(left) == 2
        assert after.remove_unfinished(older_than=timedelta(0)) == left
        assert after.remove_unfinished(older_than=timedelta(0)) == ()
        with after.get("old.mp4") as body:
            assert body.read() == b"old"


def test_processes_killed_at_random_leave_whole_objects(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    for _ in range(4):
        with start(WRITER, str(tmp_path)) as first, start(WRITER, str(tmp_path)) as second:
            first.kill()
            second.kill()
        with store.get("a/b.mp4") as body:
            data = body.read()
        assert body.info.sha256 == hashlib.sha256(data).hexdigest()
        assert set(data.decode()) <= {body.info.metadata["byte"]}


def test_of_racing_processes_one_makes_each_object(tmp_path: Path) -> None:
    racers = [start(RACER, str(tmp_path), letter) for letter in "abc"]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    won = {letter: racer.communicate(timeout=60)[0].split() for letter, racer in zip("abc", racers, strict=True)}
    assert sorted(int(number) for numbers in won.values() for number in numbers) == list(range(60))
    store = LocalStore(tmp_path)
    for letter, numbers in won.items():
        for number in numbers:
            with store.get(f"masters/{number}/a.mp4") as body:
                assert body.read() == letter.encode() * 1000


def test_racing_promotions_agree(tmp_path: Path) -> None:
    staged = LocalStore(tmp_path / "s").put("a.mp4", b"bytes" * 100_000)
    racers = [start(PROMOTER, str(tmp_path), staged.sha256 or "") for _ in range(3)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    records = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(records) == 1
    assert len(records.pop().splitlines()) == 20
    masters = LocalStore(tmp_path / "m")
    with masters.get("v7/metadata.json") as body:
        assert json.loads(body.read())["sha256"] == staged.sha256


def test_a_file_that_may_not_be_as_large_is_refused_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "objects", "limit"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "EFBIG\n", done.stderr


def in_a_small_file_system(options: str, folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with a tmpfs at `folder` that nobody else sees; skip where a user may not mount one."""
    folder.mkdir()
    unshare = shutil.which("unshare")
    mount = f'mount -t tmpfs -o "{options}" tmpfs "$1"'
    if unshare is None or subprocess.run([unshare, "-rm", "sh", "-c", mount, "sh", folder], check=False).returncode:
        pytest.skip("needs `unshare -rm` and a tmpfs in it")
    script = f'{mount} && exec "$2" -c "$3" "$1" "$4"'
    return subprocess.run(
        [unshare, "-rm", "sh", "-c", script, "sh", folder, sys.executable, code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", ["size=1m", "size=64m,nr_inodes=24"])
def test_a_full_disk_harms_no_object(options: str, tmp_path: Path) -> None:
    """Whether it is blocks or inodes that have run out."""
    done = in_a_small_file_system(options, tmp_path / "small", FULL, "disk")
    assert done.stdout == "ENOSPC\n", done.stderr


ACROSS = """
import sys
from mamkit.storage import LocalStore
here, there = LocalStore(sys.argv[1]), LocalStore(sys.argv[2])
source = here.put("a.mp4", b"bytes" * 50_000, content_type="video/mp4", metadata={"x": "1"})
copy = there.copy("a.mp4", "b.mp4", origin=here, if_match=source.etag, if_absent=True)
assert here.local_path("a.mp4").stat().st_dev != there.local_path("b.mp4").stat().st_dev
assert (copy.sha256, copy.content_type, copy.metadata) == (source.sha256, "video/mp4", {"x": "1"})
print(copy.size)
"""


def test_a_copy_to_another_file_system_carries_the_bytes(tmp_path: Path) -> None:
    done = in_a_small_file_system("size=4m", tmp_path / "small", ACROSS, str(tmp_path / "large"))
    assert done.stdout == "250000\n", done.stderr
