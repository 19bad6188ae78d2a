"""The part of a store's contract that is about writing and deleting."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.storage import Expected, ObjectExistsError, ObjectStore, UploadClosedError, UploadRejectedError
from mamkit.testing.storage._declared import Declared, read, same

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["WritingContract"]


class WritingContract(Declared):
    """An object appears whole and verified, or not at all."""

    def test_data_may_be_bytes_a_file_or_blocks(self, store: ObjectStore) -> None:
        """`put` takes all that its signature says, an opened object among it."""
        whole = bytes(range(256)) * 4096
        blocks = [whole[start : start + 1000] for start in range(0, len(whole), 1000)]
        kinds: tuple[Any, ...] = (whole, bytearray(whole), memoryview(whole), io.BytesIO(whole), blocks, iter(blocks))
        for data in kinds:
            info = store.put("a", data)
            assert info.size == len(whole)
            assert read(store, "a") == whole
        with store.get("a") as body:
            store.put("b", body)
        assert read(store, "b") == whole

    def test_a_put_replaces_the_object_and_its_facts(self, store: ObjectStore) -> None:
        """Nothing of the old one is left, and the ETag tells them apart."""
        old = store.put("a", b"old", content_type="text/plain", metadata={"old": "1"})
        new = store.put("a", b"new")
        assert same(store.head("a"), new)
        assert (new.content_type, new.metadata) == ("application/octet-stream", {})
        assert new.etag != old.etag

    def test_an_upload_is_seen_when_it_is_committed(self, store: ObjectStore) -> None:
        """Not before; and until then the old object stands."""
        store.put("a", b"old")
        with store.upload("a", content_type="text/plain") as upload:
            upload.write(b"ne")
            upload.write(b"w")
            assert read(store, "a") == b"old"
            info = upload.commit()
        assert same(store.head("a"), info)
        assert read(store, "a") == b"new"

    def test_an_upload_that_is_left_leaves_nothing(self, store: ObjectStore) -> None:
        """By leaving the block, by an exception in it, and by one of the data's iterator."""
        store.put("a", b"old")
        with store.upload("a") as upload:
            upload.write(b"new")
        with pytest.raises(ZeroDivisionError):
            _fail_in_an_upload(store, "b")
        with pytest.raises(ZeroDivisionError):
            store.put("c", _failing_blocks())
        with pytest.raises(TypeError):
            store.put("d", "text, not bytes")  # type: ignore[arg-type]
        assert read(store, "a") == b"old"
        assert [info.key for info in store.list()] == ["a"]

    def test_an_upload_that_is_over_takes_nothing_more(self, store: ObjectStore) -> None:
        """Whether it was committed, refused or left."""
        with store.upload("a") as upload:
            upload.commit()
            with pytest.raises(UploadClosedError):
                upload.write(b"more")
            with pytest.raises(UploadClosedError):
                upload.commit()
        with store.upload("a", expected=Expected(size=1)) as upload:
            with pytest.raises(UploadRejectedError):
                upload.write(b"12")
            with pytest.raises(UploadClosedError):
                upload.commit()
        with store.upload("a") as upload:
            pass
        with pytest.raises(UploadClosedError):
            upload.commit()
        assert read(store, "a") == b""

    @pytest.mark.parametrize(
        ("what", "expected"),
        [
            ("size", Expected(size=4)),
            ("size", Expected(size=6)),
            ("size", Expected(size=0)),
            ("size", Expected(size=4, sha256=hashlib.sha256(b"bytes").hexdigest())),
            ("sha256", Expected(sha256=hashlib.sha256(b"other").hexdigest())),
            ("sha256", Expected(size=5, sha256="0" * 64)),
        ],
    )
    def test_bytes_that_were_not_announced_are_refused(self, store: ObjectStore, what: str, expected: Expected) -> None:
        """The old object stands, and the error says what came."""
        store.put("a", b"old")
        with pytest.raises(UploadRejectedError) as raised:
            store.put("a", [b"by", b"tes"], expected=expected)
        assert raised.value.what == what
        assert raised.value.expected == getattr(expected, what)
        assert read(store, "a") == b"old"

    def test_bytes_that_were_announced_are_taken(self, store: ObjectStore) -> None:
        """Size and digest may be given together or alone."""
        digest = hashlib.sha256(b"bytes").hexdigest()
        for expected in (Expected(size=5), Expected(sha256=digest), Expected(size=5, sha256=digest), Expected()):
            assert store.put("a", b"bytes", expected=expected).size == 5

    def test_if_absent_never_replaces(self, store: ObjectStore) -> None:
        """Neither by writing nor by copying; and the facts stay too."""
        old = store.put("a", b"old", content_type="text/plain", if_absent=True)
        store.put("b", b"new")
        with pytest.raises(ObjectExistsError) as raised:
            store.put("a", b"new", if_absent=True)
        assert raised.value.key == "a"
        assert isinstance(raised.value, FileExistsError)
        with pytest.raises(ObjectExistsError):
            store.copy("b", "a", if_absent=True)
        assert same(store.head("a"), old)
        assert read(store, "a") == b"old"
        store.delete("a")
        store.put("a", b"new", if_absent=True)

    def test_one_of_racing_if_absent_puts_wins(self, store: ObjectStore) -> None:
        """And what it wrote is what is stored."""
        threads = 8
        start = Barrier(threads)

        def race(number: int) -> int | None:
            start.wait()
            try:
                store.put("a", str(number).encode() * 1000, if_absent=True)
            except ObjectExistsError:
                return None
            return number

        with ThreadPoolExecutor(threads) as pool:
            winners = [number for number in pool.map(race, range(threads)) if number is not None]
        assert len(winners) == 1
        assert read(store, "a") == str(winners[0]).encode() * 1000

    def test_deleting_what_is_not_there_does_nothing(self, store: ObjectStore) -> None:
        """Twice neither; and neighbours stay."""
        store.put("a/b", b"")
        store.put("a", b"")
        for key in ("a/b/c", "a/c", "c", "a/b", "a/b"):
            store.delete(key)
        assert [info.key for info in store.list()] == ["a"]


def _failing_blocks() -> Iterator[bytes]:
    yield b"new"
    raise ZeroDivisionError


def _fail_in_an_upload(store: ObjectStore, key: str) -> None:
    with store.upload(key) as upload:
        upload.write(b"new")
        raise ZeroDivisionError
