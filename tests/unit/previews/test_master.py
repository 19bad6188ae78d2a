"""A master read where it lies: the right bytes, few requests, bounded memory, and no mixture of two objects."""

import random
import threading
from pathlib import Path

import pytest

from mamkit.previews._master import StoredMaster, open_master
from mamkit.storage import ByteRange, LocalStore, MemoryStore, ObjectChangedError
from mamkit.storage._body import FileBody

KEY = "masters/a/v1/original.mp4"
BLOCK = 1000


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
        start = 0
        for _ in range(100):  # half of them go on where the last one ended, with any length
            start = start if shuffle.random() < 0.5 and start < size else shuffle.randrange(size)
            stop = shuffle.randrange(start + 1, size + 1)
            assert master.read(start, stop) == data[start:stop]
            start = stop


def test_what_comes_next_is_fetched_ahead_and_only_once() -> None:
    store = Counting()
    store.put(KEY, bytes(10 * BLOCK))
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        for number in range(10):
            master.read(number * BLOCK, (number + 1) * BLOCK)
    assert store.gets == [f"{number * BLOCK}:{(number + 1) * BLOCK}" for number in range(10)]


def test_after_a_jump_nothing_is_fetched_that_was_not_asked_for() -> None:
    store = Counting()
    store.put(KEY, bytes(10 * BLOCK))
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        for number in (9, 4, 7):
            master.read(number * BLOCK, number * BLOCK + 1)
    assert store.gets == [f"{number * BLOCK}:{number * BLOCK + 1}" for number in (9, 4, 7)]


def test_two_objects_are_never_mixed() -> None:
    store = MemoryStore()
    store.put(KEY, bytes(3 * BLOCK))
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        master.read(0, 1)
        store.put(KEY, b"x" * 3 * BLOCK)
        with pytest.raises(ObjectChangedError):
            master.read(2 * BLOCK, 2 * BLOCK + 1)


def test_a_store_of_files_gives_the_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put(KEY, b"x")
    with open_master(store, KEY) as master:
        assert isinstance(master, Path)


def test_several_ranges_are_on_their_way_at_once() -> None:
    data = random.Random(3).randbytes(20 * BLOCK)
    meeting = threading.Barrier(3, timeout=60)  # none gets through alone

    class Slow(MemoryStore):
        def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
            meeting.wait()
            return super().get(key, byte_range)

    store = Slow()
    store.put(KEY, data)
    wanted = [(number * BLOCK, number * BLOCK + 10) for number in (3, 17, 8)]
    with open_master(store, KEY) as master:
        assert isinstance(master, StoredMaster)
        assert master.read_many(wanted) == [data[start:stop] for start, stop in wanted]


def test_masters_are_the_same_where_their_bytes_are() -> None:
    store = MemoryStore()
    for key in (KEY, KEY.replace("/a/", "/b/")):
        store.put(key, b"x" * BLOCK)
    with open_master(store, KEY) as one, open_master(store, KEY) as same:
        assert one == same
        assert hash(one) == hash(same)
        with open_master(store, KEY.replace("/a/", "/b/")) as other:
            assert one != other, "another asset, of the same bytes"
        store.put(KEY, b"y" * BLOCK)
        with open_master(store, KEY) as later:
            assert one != later
