"""A master read where it lies: the right bytes, few requests, bounded memory, and no mixture of two objects."""

import random
from pathlib import Path

import pytest

from mamkit.previews._master import BLOCK, KEPT, RUN, StoredMaster, open_master
from mamkit.storage import ByteRange, LocalStore, MemoryStore, ObjectChangedError
from mamkit.storage._body import FileBody

KEY = "masters/a/v1/original.mp4"


class Counting(MemoryStore):
    """A store that notes what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[str] = []

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        self.gets.append(str(byte_range))
        return super().get(key, byte_range)


@pytest.mark.parametrize("size", [1, BLOCK, 3 * BLOCK + 5])
def test_any_bytes_are_read_as_they_are(size: int) -> None:
    data, shuffle = random.Random(1).randbytes(size), random.Random(2)
    store = Counting()
    store.put(KEY, data)
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        assert (master.name, master.size) == ("original.mp4", size)
        for _ in range(100):
            start = shuffle.randrange(size)
            count = shuffle.randrange(1, size - start + 1)
            assert master.read(start, count) == data[start : start + count]


def test_reading_on_takes_few_requests_and_a_jump_fetches_little() -> None:
    data = bytes(40 * BLOCK)
    store = Counting()
    store.put(KEY, data)
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        master.read(30 * BLOCK, 100)
        assert store.gets == [f"{30 * BLOCK}:{31 * BLOCK}"]
        for start in range(0, 20 * BLOCK, 1000):
            master.read(start, 1000)
    assert len(store.gets) <= 2 + 1 + 20 // RUN + 1


def test_memory_is_bounded_however_large_the_master_is() -> None:
    store = Counting()
    store.put(KEY, bytes((KEPT + 40) * BLOCK))
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        for start in range(0, master.size, BLOCK):
            master.read(start, BLOCK)
        assert len(master._blocks) <= KEPT


def test_two_objects_are_never_mixed() -> None:
    store = MemoryStore()
    store.put(KEY, bytes(3 * BLOCK))
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        master.read(0, 1)
        store.put(KEY, b"x" * 3 * BLOCK)
        with pytest.raises(ObjectChangedError):
            master.read(2 * BLOCK, 1)


def test_a_store_of_files_gives_the_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(KEY, b"x")
    with open_master(store, KEY) as master:
        assert isinstance(master, Path)
