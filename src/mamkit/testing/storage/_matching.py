"""The part of a store's contract that is about changes of just the object that was seen."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from mamkit.clock import utc_now
from mamkit.errors import MissingExtraError
from mamkit.storage import (
    ChangesIfMatch,
    Expected,
    InvalidKeyError,
    ObjectChangedError,
    ObjectNotFoundError,
    ObjectRetainedError,
    ObjectStore,
    RetainsObjects,
    UnsupportedOperationError,
    UploadRejectedError,
)
from mamkit.testing.storage._declared import Declared, read, same

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["MatchingContract"]

_THREADS, _STEPS = 4, 5
_LARGE = bytes(range(256)) * 40_000  # 10 MB: more than a part of S3


class MatchingContract(Declared):
    """Who has seen an older object changes nothing."""

    @pytest.fixture
    def replacing(self, store: ObjectStore) -> ChangesIfMatch:
        """Return the store, or skip where it declares not to replace on a condition."""
        if not self.replaces_if_match:
            pytest.skip("this store declares no conditions of replacements: `replaces_if_match`")
        assert isinstance(store, ChangesIfMatch)
        return store

    @pytest.fixture
    def removing(self, store: ObjectStore) -> ChangesIfMatch:
        """Return the store, or skip where it declares not to remove on a condition."""
        if not self.removes_if_match:
            pytest.skip("this store declares no conditions of removals: `removes_if_match`")
        assert isinstance(store, ChangesIfMatch)
        return store

    def test_conditions_are_refused_where_that_is_declared(self, store: ObjectStore) -> None:
        """By the method's absence, or by name; and the object is as it was."""
        if not isinstance(store, ChangesIfMatch):
            assert not self.replaces_if_match
            assert not self.removes_if_match
            return
        written = store.put("a", b"bytes")
        if not self.replaces_if_match:
            with pytest.raises(UnsupportedOperationError):
                store.replace("a", b"other", if_match=written.etag)
        if not self.removes_if_match:
            with pytest.raises(UnsupportedOperationError):
                store.remove("a", if_match=written.etag)
        assert same(store.head("a"), written)

    def test_just_the_object_that_was_seen_is_replaced(self, store: ObjectStore, replacing: ChangesIfMatch) -> None:
        """With its facts; the second who has seen it is told which one is there now."""
        old = store.put("deep/a", b"old", content_type="text/plain", metadata={"x": "1"})
        new = replacing.replace("deep/a", b"new", if_match=old.etag, content_type="video/mp4", metadata={"y": "2"})
        assert (new.key, new.size, new.content_type, new.metadata) == ("deep/a", 3, "video/mp4", {"y": "2"})
        assert same(store.head("deep/a"), new)
        with pytest.raises(ObjectChangedError) as raised:
            replacing.replace("deep/a", b"late", if_match=old.etag)
        assert (raised.value.key, raised.value.expected, raised.value.actual) == ("deep/a", old.etag, new.etag)
        assert read(store, "deep/a") == b"new"

    def test_a_large_object_is_replaced_likewise(self, store: ObjectStore, replacing: ChangesIfMatch) -> None:
        """Block by block."""
        old = store.put("a", b"old")
        blocks = [_LARGE[:7_000_000], _LARGE[7_000_000:]]
        new = replacing.replace("a", iter(blocks), if_match=old.etag)
        assert new.size == len(_LARGE)
        with pytest.raises(ObjectChangedError):
            replacing.replace("a", iter(blocks[::-1]), if_match=old.etag)
        assert read(store, "a") == _LARGE
        assert [info.key for info in store.list()] == ["a"]

    def test_nothing_is_replaced_where_nothing_is(self, store: ObjectStore, replacing: ChangesIfMatch) -> None:
        """Also not after a removal; and no key is taken that is none."""
        gone = store.put("a", b"bytes")
        store.delete("a")
        with pytest.raises(ObjectNotFoundError):
            replacing.replace("a", b"other", if_match=gone.etag)
        with pytest.raises(InvalidKeyError):
            replacing.replace("../a", b"other", if_match=gone.etag)
        assert list(store.list()) == []

    @pytest.mark.parametrize("etag", ["", "*", '"', '"{}"', "{},*", "*, {}", "{} ", "W/{}", "{}\r\nx: y", "{}x", "ü"])
    def test_what_is_no_etag_matches_nothing(self, store: ObjectStore, etag: str) -> None:
        """No wildcard, no list, nothing that a header would be split at."""
        written = store.put("a", b"bytes")
        wrong = etag.replace("{}", written.etag)
        if self.replaces_if_match and isinstance(store, ChangesIfMatch):
            with pytest.raises(ObjectChangedError):
                store.replace("a", b"other", if_match=wrong)
        if self.removes_if_match and isinstance(store, ChangesIfMatch):
            with pytest.raises(ObjectChangedError):
                store.remove("a", if_match=wrong)
        assert same(store.head("a"), written)

    def test_a_replacement_is_held_against_what_was_expected(
        self, store: ObjectStore, replacing: ChangesIfMatch
    ) -> None:
        """And leaves what is there where it is another."""
        old = store.put("a", b"old")
        with pytest.raises(UploadRejectedError):
            replacing.replace("a", b"new", if_match=old.etag, expected=Expected(size=4))
        assert read(store, "a") == b"old"

    def test_no_step_of_racing_counters_is_lost(self, store: ObjectStore, replacing: ChangesIfMatch) -> None:
        """Each reads, adds one and replaces what it has read, until it has done so as often as it was to."""
        store.put("count", b"0")

        def count() -> None:
            done = 0
            while done < _STEPS:
                with store.get("count") as body:
                    number = int(body.read())
                try:
                    replacing.replace("count", b"%d" % (number + 1), if_match=body.info.etag)
                except ObjectChangedError:
                    continue
                done += 1

        with ThreadPoolExecutor(_THREADS) as pool:
            for job in [pool.submit(count) for _ in range(_THREADS)]:
                job.result()
        assert read(store, "count") == b"%d" % (_THREADS * _STEPS)

    def test_just_the_object_that_was_seen_is_removed(self, store: ObjectStore, removing: ChangesIfMatch) -> None:
        """And where nothing is, that is said."""
        old = store.put("deep/a", b"old")
        new = store.put("deep/a", b"new")
        with pytest.raises(ObjectChangedError) as raised:
            removing.remove("deep/a", if_match=old.etag)
        assert (raised.value.expected, raised.value.actual) == (old.etag, new.etag)
        assert read(store, "deep/a") == b"new"
        removing.remove("deep/a", if_match=new.etag)
        assert list(store.list()) == []
        with pytest.raises(ObjectNotFoundError):
            removing.remove("deep/a", if_match=new.etag)
        with pytest.raises(InvalidKeyError):
            removing.remove("../a", if_match=new.etag)

    def test_one_of_several_removes_an_object(self, store: ObjectStore, removing: ChangesIfMatch) -> None:
        """All others are told that it is gone."""
        etag = store.put("a", b"bytes").etag

        def remove(_: int) -> bool:
            try:
                removing.remove("a", if_match=etag)
            except ObjectNotFoundError:
                return False
            return True

        with ThreadPoolExecutor(_THREADS) as pool:
            assert sum(pool.map(remove, range(_THREADS))) == 1

    def test_what_is_retained_is_not_changed_either(self, store: ObjectStore, removing: ChangesIfMatch) -> None:
        """Though it is the one that was seen."""
        if not self.retains or not isinstance(store, RetainsObjects):
            pytest.skip("this store declares to retain nothing: `retains`")
        written = store.put("a", b"bytes")
        store.retain("a", until=utc_now() + timedelta(hours=1))
        with pytest.raises(ObjectRetainedError):
            removing.remove("a", if_match=written.etag)
        with pytest.raises(ObjectRetainedError):
            removing.replace("a", b"other", if_match=written.etag)
        assert read(store, "a") == b"bytes"
