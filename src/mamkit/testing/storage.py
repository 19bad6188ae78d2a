"""The contract of a store as tests: inherit `StorageContract`, say what your store is, and run pytest.

    class TestMyStore(StorageContract):
        @pytest.fixture
        def store(self):
            return MyStore()

Call `pytest.register_assert_rewrite("mamkit.testing.storage")` in a `conftest.py` to see the values of what fails.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar

from mamkit.errors import MissingExtraError
from mamkit.storage import (
    ByteRange,
    Expected,
    HasLocalPath,
    InvalidKeyError,
    InvalidMetadataError,
    InvalidRangeError,
    MemoryStore,
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStore,
    RangeNotSatisfiableError,
    SignsDownloads,
    SignsUploads,
    StorageError,
    UnboundedUploadError,
    UnsupportedOperationError,
    UploadClosedError,
    UploadRejectedError,
)
from mamkit.storage.keys import MAX_KEY_BYTES
from mamkit.testing._storage_keys import BAD_KEYS, GOOD_KEYS
from mamkit.testing._storage_raw import RawAccess, RawContract

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["BAD_KEYS", "GOOD_KEYS", "RawAccess", "StorageContract", "same"]


class StorageContract(RawContract):
    """What holds for every `mamkit.storage.ObjectStore`.

    The fixture `store` is to be overridden; `raw` as well where there is a way past the store to what it keeps.

    Attributes:
        records_sha256: Whether `ObjectInfo.sha256` is known of everything that was written through the store.
        signs_requests: Whether `sign_get` and `sign_put` work; where they do not, they are missing or raise
            `UnsupportedOperationError`.
        lists_facts: Whether a listing also tells type, SHA-256 and metadata.
        longest_segment: Bytes that a segment of a key may have at most; longer ones raise a `StorageError`, and nothing
            is written.
        longest_key: Bytes that a key may have at most; longer ones, as above.
    """

    records_sha256: ClassVar[bool] = True
    signs_requests: ClassVar[bool] = False
    lists_facts: ClassVar[bool] = True
    longest_segment: ClassVar[int] = MAX_KEY_BYTES
    longest_key: ClassVar[int] = MAX_KEY_BYTES

    @pytest.fixture
    def store(self) -> ObjectStore:
        """Return an empty store; to be overridden."""
        pytest.fail("override the fixture `store`")

    def test_is_an_object_store(self, store: ObjectStore) -> None:
        """It has the methods of the Protocol."""
        assert isinstance(store, ObjectStore)

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

    def test_data_may_be_bytes_a_file_or_blocks(self, store: ObjectStore) -> None:
        """`put` takes all that its signature says, an opened object among it."""
        whole = bytes(range(256)) * 4096
        blocks = [whole[start : start + 1000] for start in range(0, len(whole), 1000)]
        kinds: tuple[Any, ...] = (whole, bytearray(whole), memoryview(whole), io.BytesIO(whole), blocks, iter(blocks))
        for data in kinds:
            info = store.put("a", data)
            assert info.size == len(whole)
            assert _read(store, "a") == whole
        with store.get("a") as body:
            store.put("b", body)
        assert _read(store, "b") == whole

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

    @pytest.mark.parametrize("key", GOOD_KEYS)
    def test_every_good_key_works(self, store: ObjectStore, key: str) -> None:
        """Put, found, listed, copied, deleted."""
        if self._is_too_long(key):
            with pytest.raises(StorageError):
                store.put(key, key.encode())
            assert list(store.list()) == []
            return
        store.put(key, key.encode())
        assert store.head(key).key == key
        assert _read(store, key) == key.encode()
        assert [info.key for info in store.list()] == [key]
        assert [info.key for info in store.list(key)] == [key]
        store.copy(key, "copy")
        assert _read(store, "copy") == key.encode()
        store.delete(key)
        assert [info.key for info in store.list()] == ["copy"]

    def test_good_keys_do_not_touch_each_other(self, store: ObjectStore) -> None:
        """Keys that differ in case, in a dot, in normalisation, or of which one is a folder of the other, coexist."""
        keys = {*GOOD_KEYS, "a/b", "A", "A/b", "a/B", "a.b/c", "a%2eb", "a%b", "z" * 1023, "z" * 300, "z" * 300 + "/z"}
        keys = {key for key in keys if not self._is_too_long(key)}
        for key in keys:
            store.put(key, key.encode())
        assert {info.key for info in store.list()} == keys
        for key in keys:
            assert _read(store, key) == key.encode()

    @pytest.mark.parametrize("key", [*BAD_KEYS, None, 5, b"a"])
    def test_a_bad_key_is_refused_by_every_method(self, store: ObjectStore, key: Any) -> None:
        """`InvalidKeyError`, and nothing is read or written."""
        store.put("good", b"")
        calls: list[Callable[[], object]] = [
            lambda: store.head(key),
            lambda: store.get(key),
            lambda: store.put(key, b""),
            lambda: store.upload(key),
            lambda: store.copy("good", key),
            lambda: store.copy(key, "good"),
            lambda: store.delete(key),
        ]
        for call in calls:
            with pytest.raises(InvalidKeyError):
                call()
        assert [info.key for info in store.list()] == ["good"]

    @pytest.mark.parametrize("prefix", ["/", "../", "a//", "a/./b", "\\", "\n", None])
    def test_a_prefix_that_starts_no_key_is_refused(self, store: ObjectStore, prefix: Any) -> None:
        """At once, not when the first object is asked for."""
        with pytest.raises(InvalidKeyError):
            store.list(prefix)

    @pytest.mark.parametrize(
        ("content_type", "metadata"),
        [
            ("", {}),
            ("video", {}),
            ("video/mp4\r\nset-cookie: a=b", {}),
            ("a/" + "b" * 300, {}),
            ("vidéo/mp4", {}),
            ("a/b", {"Title": "x"}),
            ("a/b", {"a b": "x"}),
            ("a/b", {"": "x"}),
            ("a/b", {"a": "x\r\ny: z"}),
            ("a/b", {"a": " x"}),
            ("a/b", {"a": "é"}),
            ("a/b", {"a": ""}),
            ("a/b", {"a": "x" * 2048}),
            ("a/b", {"a": 5}),
            (None, {}),
        ],
    )
    def test_facts_that_fit_no_header_are_refused(
        self, store: ObjectStore, content_type: Any, metadata: dict[str, Any]
    ) -> None:
        """`InvalidMetadataError`, and nothing is written."""
        with pytest.raises(InvalidMetadataError):
            store.put("a", b"", content_type=content_type, metadata=metadata)
        assert list(store.list()) == []

    def test_a_put_replaces_the_object_and_its_facts(self, store: ObjectStore) -> None:
        """Nothing of the old one is left, and the ETag tells them apart."""
        old = store.put("a", b"old", content_type="text/plain", metadata={"old": "1"})
        new = store.put("a", b"new")
        assert same(store.head("a"), new)
        assert (new.content_type, new.metadata) == ("application/octet-stream", {})
        assert new.etag != old.etag

    def test_a_reader_keeps_the_bytes_that_it_opened(self, store: ObjectStore) -> None:
        """Replacing and deleting do not reach a body that is open; at worst it says that they happened."""
        old = store.put("a", b"old" * 500_000)
        with store.get("a") as replaced, store.get("a", ByteRange(3)) as deleted:
            store.put("a", b"new")
            store.delete("a")
            assert same(replaced.info, old)
            assert replaced.read() == b"old" * 500_000
            assert deleted.read() == b"old" * 499_999

    def test_an_upload_is_seen_when_it_is_committed(self, store: ObjectStore) -> None:
        """Not before; and until then the old object stands."""
        store.put("a", b"old")
        with store.upload("a", content_type="text/plain") as upload:
            upload.write(b"ne")
            upload.write(b"w")
            assert _read(store, "a") == b"old"
            info = upload.commit()
        assert same(store.head("a"), info)
        assert _read(store, "a") == b"new"

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
        assert _read(store, "a") == b"old"
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
        assert _read(store, "a") == b""

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
        assert _read(store, "a") == b"old"

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
        assert _read(store, "a") == b"old"
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
        assert _read(store, "a") == str(winners[0]).encode() * 1000

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

    def test_a_copy_is_an_object_of_its_own(self, store: ObjectStore) -> None:
        """With the facts of the source, and unharmed when the source is replaced or deleted."""
        source = store.put("a", b"bytes", content_type="text/plain", metadata={"x": "1"})
        copy = store.copy("a", "deep/b")
        assert (copy.key, copy.size, copy.content_type, copy.metadata) == ("deep/b", 5, "text/plain", {"x": "1"})
        assert copy.sha256 == source.sha256
        store.put("a", b"other")
        store.delete("a")
        assert same(store.head("deep/b"), copy)
        assert _read(store, "deep/b") == b"bytes"

    def test_an_object_may_be_copied_onto_itself_and_over_another(self, store: ObjectStore) -> None:
        """Nothing is lost."""
        store.put("a", b"bytes", content_type="text/plain")
        store.put("b", b"other")
        for key in ("a", "b", "b"):
            store.copy("a", key)
        for key in ("a", "b"):
            assert store.head(key).content_type == "text/plain"
            assert _read(store, key) == b"bytes"
        store.delete("a")
        assert _read(store, "b") == b"bytes"
        assert store.head("b").content_type == "text/plain"

    def test_an_object_of_another_store_is_copied(self, store: ObjectStore) -> None:
        """With its facts."""
        origin = MemoryStore()
        source = origin.put("a", b"bytes" * 300_000, content_type="text/plain", metadata={"x": "1"})
        copy = store.copy("a", "b", origin=origin)
        assert (copy.size, copy.content_type, copy.metadata) == (source.size, "text/plain", {"x": "1"})
        assert copy.sha256 in {source.sha256, None}
        assert _read(store, "b") == b"bytes" * 300_000
        with pytest.raises(ObjectNotFoundError):
            store.copy("a", "c")

    def test_a_copy_of_a_missing_object_is_refused(self, store: ObjectStore) -> None:
        """And leaves what stands under the key."""
        store.put("b", b"old")
        for origin in (None, store, MemoryStore()):
            with pytest.raises(ObjectNotFoundError):
                store.copy("a", "b", origin=origin)
        assert _read(store, "b") == b"old"

    def test_a_copy_may_be_bound_to_an_etag(self, store: ObjectStore) -> None:
        """Another object under the source key is not copied."""
        old = store.put("a", b"old")
        store.copy("a", "b", if_match=old.etag)
        new = store.put("a", b"new")
        with pytest.raises(ObjectChangedError) as raised:
            store.copy("a", "b", if_match=old.etag)
        assert (raised.value.expected, raised.value.actual) == (old.etag, new.etag)
        with pytest.raises(ObjectChangedError):
            store.copy("a", "b", origin=_memory_with("a"), if_match=old.etag)
        assert _read(store, "b") == b"old"

    def test_deleting_what_is_not_there_does_nothing(self, store: ObjectStore) -> None:
        """Twice neither; and neighbours stay."""
        store.put("a/b", b"")
        store.put("a", b"")
        for key in ("a/b/c", "a/c", "c", "a/b", "a/b"):
            store.delete(key)
        assert [info.key for info in store.list()] == ["a"]

    def test_a_listing_is_in_order_of_the_bytes(self, store: ObjectStore) -> None:
        """Not in that of folders: "a-b" < "a/b" < "a0"; and each object comes with its facts."""
        keys = [
            "a",
            "a-b",
            "a.b",
            "a/a/a",
            "a/b",
            "a/b!",
            "a/b-c/d",
            "a/b/c",
            "a/bb",
            "a0",
            "aé",
            "b",
            "é",
            "\uffee",
            "😀",
        ]
        infos = [store.put(key, b"") for key in reversed(keys)]
        listed = list(store.list())
        assert [info.key for info in listed] == keys
        for found, info in zip(listed, infos[::-1], strict=True):
            facts = info if self.lists_facts else replace(info, content_type=found.content_type, sha256=None)
            assert same(found, facts)
        assert [info.key for info in store.list("a/")] == [key for key in keys if key.startswith("a/")]
        assert [info.key for info in store.list("a/b")] == [key for key in keys if key.startswith("a/b")]
        assert [info.key for info in store.list(after="a/b")] == keys[keys.index("a/b") + 1 :]
        assert [info.key for info in store.list("a/", after="a/b-")] == ["a/b-c/d", "a/b/c", "a/bb"]
        assert [info.key for info in store.list("a/b/", after="a")] == ["a/b/c"]
        assert list(store.list("a/b/", after="b")) == []
        assert list(store.list("nothing/")) == []

    def test_a_listing_goes_on_after_any_key(self, store: ObjectStore) -> None:
        """Page by page, every object comes once."""
        keys = [f"{folder}/{number:02}" for folder in ("a", "a-b", "b") for number in range(7)]
        for key in keys:
            store.put(key, b"")
        found: list[str] = []
        while page := [
            info.key for info, _ in zip(store.list(after=found[-1] if found else ""), range(4), strict=False)
        ]:
            found += page
        assert found == sorted(keys)

    def test_a_listing_survives_what_happens_meanwhile(self, store: ObjectStore) -> None:
        """Objects that stay are all listed, though others come and go."""
        for number in range(20):
            store.put(f"stays/{number:02}", b"")
            store.put(f"goes/{number:02}", b"")
        found = []
        for info in store.list():
            found.append(info.key)
            store.put(f"comes/{len(found):02}", b"")
            for number in range(20):
                store.delete(f"goes/{number:02}")
        assert [key for key in found if key.startswith("stays/")] == [f"stays/{number:02}" for number in range(20)]

    def test_a_local_path_holds_the_bytes(self, store: ObjectStore) -> None:
        """If there are such paths."""
        store.put("a/b.mp4", b"bytes")
        if isinstance(store, HasLocalPath):
            assert store.local_path("a/b.mp4").read_bytes() == b"bytes"
            with pytest.raises(ObjectNotFoundError):
                store.local_path("a")

    def test_requests_are_signed_as_declared(self, store: ObjectStore) -> None:
        """By a store that can; one that cannot says so."""
        assert not self.signs_requests or (isinstance(store, SignsDownloads) and isinstance(store, SignsUploads))
        hour, expected = timedelta(hours=1), Expected(size=5)
        if isinstance(store, SignsDownloads):
            with pytest.raises(InvalidKeyError if self.signs_requests else StorageError):
                store.sign_get("../a", expires_in=hour)
            if self.signs_requests:
                assert store.sign_get("a", expires_in=hour).method == "GET"
            else:
                with pytest.raises(UnsupportedOperationError):
                    store.sign_get("a", expires_in=hour)
        if isinstance(store, SignsUploads):
            if self.signs_requests:
                request = store.sign_put("a", content_type="video/mp4", expected=expected, expires_in=hour)
                assert request.method == "PUT"
                assert request.url not in repr(request)
                with pytest.raises(UnboundedUploadError):
                    store.sign_put("a", content_type="video/mp4", expected=Expected(), expires_in=hour)
                with pytest.raises(InvalidMetadataError):
                    store.sign_put("a", content_type="video/mp4\n", expected=expected, expires_in=hour)
            else:
                with pytest.raises(UnsupportedOperationError):
                    store.sign_put("a", content_type="video/mp4", expected=expected, expires_in=hour)

    def _is_too_long(self, key: str) -> bool:
        longest = max(len(segment.encode()) for segment in key.split("/"))
        return longest > self.longest_segment or len(key.encode()) > self.longest_key


def same(found: ObjectInfo, written: ObjectInfo) -> bool:
    """Return whether these are the same facts; a server may tell the time of a write by a clock of whole seconds."""
    near = abs(found.modified_at - written.modified_at) <= timedelta(seconds=2)
    return near and replace(found, modified_at=written.modified_at) == written


def _read(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as body:
        return body.read()


def _put_number(store: ObjectStore, number: int) -> None:
    digit = str(number % 10)
    size = 1 + number % 100
    store.put("a", digit.encode() * size, metadata={"number": digit, "size": str(size)})


def _failing_blocks() -> Iterator[bytes]:
    yield b"new"
    raise ZeroDivisionError


def _fail_in_an_upload(store: ObjectStore, key: str) -> None:
    with store.upload(key) as upload:
        upload.write(b"new")
        raise ZeroDivisionError


def _memory_with(key: str) -> MemoryStore:
    store = MemoryStore()
    store.put(key, b"memory")
    return store
