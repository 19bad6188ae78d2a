"""A stored object as a file."""

import io
import random
import wave
import zipfile
from pathlib import Path

import av
import pytest

from mamkit.storage import (
    ByteRange,
    LocalStore,
    MemoryStore,
    ObjectChangedError,
    ObjectNotFoundError,
    open_seekable,
)
from mamkit.storage._body import FileBody

DATA = random.Random(5).randbytes(3_000_000)


class CountingStore(MemoryStore):
    """Counts the ranges that are read, and their bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[ByteRange] = []

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        body = super().get(key, byte_range)
        self.ranges.append(body.range)
        return body


@pytest.fixture
def store() -> CountingStore:
    store = CountingStore()
    store.put("a", DATA)
    return store


def test_a_file_reads_like_any_other(store: CountingStore) -> None:
    """Random seeks and reads give what a file in memory gives."""
    choice = random.Random(7)
    with open_seekable(store, "a") as ours, io.BytesIO(DATA) as theirs:
        assert (ours.readable(), ours.seekable(), ours.writable()) == (True, True, False)
        for _ in range(300):
            whence = choice.choice([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END])
            offset = choice.randint(-len(DATA), len(DATA) + 10)
            base = {io.SEEK_SET: 0, io.SEEK_CUR: theirs.tell(), io.SEEK_END: len(DATA)}[whence]
            if base + offset < 0:
                with pytest.raises(ValueError, match="before the start"):
                    ours.seek(offset, whence)
                continue
            assert ours.seek(offset, whence) == theirs.seek(offset, whence)
            size = choice.choice([0, 1, 10, 100_000])
            assert read_exactly(ours, size) == theirs.read(size)
            assert ours.tell() == theirs.tell()


def read_exactly(file: io.RawIOBase, size: int) -> bytes:
    data = b""
    while len(data) < size and (block := file.read(size - len(data))):
        data += block
    return data


def test_reading_on_takes_few_requests_and_each_byte_once(store: CountingStore) -> None:
    """And holds a few MiB, whatever the size."""
    store.put("large", DATA * 10)
    with open_seekable(store, "large") as file:
        assert file.readall() == DATA * 10
    assert len(store.ranges) < 20
    assert sum((found.stop or 0) - found.start for found in store.ranges) == 10 * len(DATA)
    assert max((found.stop or 0) - found.start for found in store.ranges) <= 4 * 1024 * 1024


def test_a_jump_reads_little(store: CountingStore) -> None:
    with open_seekable(store, "a") as file:
        file.readall()
        store.ranges.clear()
        file.seek(1_000_000)
        file.read(10)
        file.seek(-20, io.SEEK_CUR)
        file.seek(20, io.SEEK_CUR)
        file.read(10)
    assert store.ranges == [ByteRange(1_000_000, 1_000_000 + 64 * 1024)]


def test_an_empty_object_is_an_empty_file(store: CountingStore) -> None:
    store.put("empty", b"")
    with open_seekable(store, "empty") as file:
        assert file.read() == b""
        assert file.read(10) == b""
        assert file.seek(0, io.SEEK_END) == 0
    assert store.ranges == []


def test_bytes_of_two_objects_are_never_mixed(store: CountingStore) -> None:
    with open_seekable(store, "a") as file:
        file.read(10)
        store.put("a", DATA[::-1])
        assert file.read(10) == DATA[10:20]  # it was read already
        file.seek(2_000_000)
        with pytest.raises(ObjectChangedError):
            file.read(10)
        store.delete("a")
        with pytest.raises(ObjectNotFoundError):
            file.read(10)


def test_a_missing_object_cannot_be_opened(store: CountingStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        open_seekable(store, "b")


def test_a_closed_file_is_closed(store: CountingStore) -> None:
    file = open_seekable(store, "a")
    file.close()
    for call in (file.tell, file.read, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed file"):
            call()


def test_an_unknown_whence_is_refused(store: CountingStore) -> None:
    with open_seekable(store, "a") as file, pytest.raises(ValueError, match="whence"):
        file.seek(0, 7)


def test_what_reads_files_reads_objects(tmp_path: Path) -> None:
    """The standard library's zip reader, and libav."""
    store = LocalStore(tmp_path, durable=False)
    with store.upload("a.zip") as upload:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("inside.bin", DATA)
        upload.write(packed.getvalue())
        upload.commit()
    with open_seekable(store, "a.zip") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("inside.bin") == DATA
    sound = io.BytesIO()
    with wave.open(sound, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        writer.writeframes(bytes(16000))
    store.put("a.wav", sound.getvalue())
    with open_seekable(store, "a.wav") as file, av.open(file, "r") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == 8000
