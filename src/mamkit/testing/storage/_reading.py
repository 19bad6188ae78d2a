"""The part of a store's contract that is about reading."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.storage import (
    ByteRange,
    HasLocalPath,
    InvalidRangeError,
    ObjectNotFoundError,
    ObjectStore,
    RangeNotSatisfiableError,
)
from mamkit.testing.storage._declared import Declared, same

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["ReadingContract"]


class ReadingContract(Declared):
    """Bytes and facts are those that were written, whole and in ranges."""

    def test_what_was_put_is_found(self, store: ObjectStore) -> None:
        """Bytes, facts and time come back as they were written."""
        written = store.put("films/a.mp4", b"bytes", content_type="video/mp4", metadata={"title": "A film", "x-y": "1"})
        found = store.head("films/a.mp4")
        assert same(found, written)
        assert (found.key, found.size, found.content_type) == ("films/a.mp4", 5, "video/mp4")
        assert found.metadata == {"title": "A film", "x-y": "1"}
        assert found.modified_at.utcoffset() == timedelta(0)
        assert '"' not in found.etag
        assert found.sha256 == (hashlib.sha256(b"bytes").hexdigest() if self.records_sha256 else None)
        with store.get("films/a.mp4") as body:
            assert same(body.info, found)
            assert body.range == ByteRange(0, 5)
            assert body.read() == b"bytes"
            assert body.read() == b""

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        """It is found, has the empty range, and no byte of it can be asked for."""
        nothing: tuple[bytes | io.BytesIO | list[bytes], ...] = (b"", io.BytesIO(), [], [b"", b""])
        for data in nothing:
            assert store.put("empty", data).size == 0
        with store.get("empty") as body:
            assert body.range == ByteRange(0, 0)
            assert list(body) == []
        with pytest.raises(RangeNotSatisfiableError):
            store.get("empty", ByteRange(0))

    def test_a_body_is_read_in_blocks(self, store: ObjectStore) -> None:
        """Iterating gives all bytes once, in blocks that are not empty; `read` takes turns with it."""
        whole = bytes(range(256)) * 8192  # 2 MiB
        store.put("a", whole)
        with store.get("a") as body:
            blocks = list(body)
        assert b"".join(blocks) == whole
        assert all(blocks)
        with store.get("a") as body:
            head = body.read(10)
            assert len(head) in range(1, 11)
            assert head + next(iter(body)) + body.read() == whole
            body.close()
            body.close()

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            (ByteRange(0, 1), ByteRange(0, 1)),
            (ByteRange(0), ByteRange(0, 10)),
            (ByteRange(3, 7), ByteRange(3, 7)),
            (ByteRange(9), ByteRange(9, 10)),
            (ByteRange(9, 10**15), ByteRange(9, 10)),
        ],
    )
    def test_a_range_of_bytes_is_read(self, store: ObjectStore, asked: ByteRange, found: ByteRange) -> None:
        """`start` is included, `stop` is not, and a `stop` past the end is cut."""
        store.put("digits", b"0123456789")
        with store.get("digits", asked) as body:
            assert body.range == found
            assert body.info.size == 10
            assert body.read() == b"0123456789"[found.start : found.stop]

    @pytest.mark.parametrize("asked", [ByteRange(10), ByteRange(10, 11), ByteRange(10**15), ByteRange(0, 0)])
    def test_a_range_without_bytes_is_refused(self, store: ObjectStore, asked: ByteRange) -> None:
        """`start` at or past the end raises, with the size as evidence."""
        store.put("digits", b"0123456789")
        with pytest.raises(RangeNotSatisfiableError) as raised:
            store.get("digits", asked)
        assert raised.value.size == 10

    @pytest.mark.parametrize(("start", "stop"), [(-1, None), (-1, 5), (5, 5), (5, 4), (0, -1), (True, 2), (0.0, 1)])
    def test_a_range_that_is_none_cannot_be_made(self, start: Any, stop: Any) -> None:
        """No store ever sees it."""
        with pytest.raises(InvalidRangeError):
            ByteRange(start, stop)

    @pytest.mark.parametrize("method", ["head", "get"])
    def test_what_is_not_there_is_not_found(self, store: ObjectStore, method: str) -> None:
        """The error says the key, and is what a missing file gives."""
        store.put("a/b", b"")
        for key in ("a", "a/b/c", "A/B", "a/b.", "b"):
            with pytest.raises(ObjectNotFoundError) as raised:
                getattr(store, method)(key)
            assert raised.value.key == key
            assert isinstance(raised.value, FileNotFoundError)

    def test_a_reader_keeps_the_bytes_that_it_opened(self, store: ObjectStore) -> None:
        """Replacing and deleting do not reach a body that is open; at worst it says that they happened."""
        old = store.put("a", b"old" * 500_000)
        with store.get("a") as replaced, store.get("a", ByteRange(3)) as deleted:
            store.put("a", b"new")
            store.delete("a")
            assert same(replaced.info, old)
            assert replaced.read() == b"old" * 500_000
            assert deleted.read() == b"old" * 499_999

    def test_readers_never_see_a_mixture(self, store: ObjectStore) -> None:
        """While an object is replaced again and again, bytes and facts belong together."""
        rounds = 60
        _put_number(store, 0)

        def write(first: int) -> None:
            for number in range(first, first + rounds):
                _put_number(store, number)

        def read(_: int) -> None:
            for _round in range(rounds):
                info = store.head("a")
                assert info.metadata["size"] == str(info.size)
                with store.get("a") as body:
                    data = body.read()
                assert body.info.metadata == {"number": data[:1].decode(), "size": str(len(data))}
                assert len(set(data)) == 1

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(write, 0), pool.submit(write, 1000), pool.submit(read, 0), pool.submit(read, 1)]
        for future in futures:
            future.result()

    def test_a_local_path_holds_the_bytes(self, store: ObjectStore) -> None:
        """If there are such paths."""
        store.put("a/b.mp4", b"bytes")
        if isinstance(store, HasLocalPath):
            assert store.local_path("a/b.mp4").read_bytes() == b"bytes"
            with pytest.raises(ObjectNotFoundError):
                store.local_path("a")


def _put_number(store: ObjectStore, number: int) -> None:
    digit = str(number % 10)
    size = 1 + number % 100
    store.put("a", digit.encode() * size, metadata={"number": digit, "size": str(size)})
