"""The part of a store's contract that is about copies."""

from mamkit.errors import MissingExtraError
from mamkit.storage import MemoryStore, ObjectChangedError, ObjectNotFoundError, ObjectStore
from mamkit.testing.storage._declared import Declared, read, same

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["CopyingContract"]


class CopyingContract(Declared):
    """A copy is an object of its own, of just the source that was meant."""

    def test_a_copy_is_an_object_of_its_own(self, store: ObjectStore) -> None:
        """With the facts of the source, and unharmed when the source is replaced or deleted."""
        source = store.put("a", b"bytes", content_type="text/plain", metadata={"x": "1"})
        copy = store.copy("a", "deep/b")
        assert (copy.key, copy.size, copy.content_type, copy.metadata) == ("deep/b", 5, "text/plain", {"x": "1"})
        assert copy.sha256 == source.sha256
        store.put("a", b"other")
        store.delete("a")
        assert same(store.head("deep/b"), copy)
        assert read(store, "deep/b") == b"bytes"

    def test_an_object_may_be_copied_onto_itself_and_over_another(self, store: ObjectStore) -> None:
        """Nothing is lost."""
        store.put("a", b"bytes", content_type="text/plain")
        store.put("b", b"other")
        for key in ("a", "b", "b"):
            store.copy("a", key)
        for key in ("a", "b"):
            assert store.head(key).content_type == "text/plain"
            assert read(store, key) == b"bytes"
        store.delete("a")
        assert read(store, "b") == b"bytes"
        assert store.head("b").content_type == "text/plain"

    def test_an_object_of_another_store_is_copied(self, store: ObjectStore) -> None:
        """With its facts."""
        origin = MemoryStore()
        source = origin.put("a", b"bytes" * 300_000, content_type="text/plain", metadata={"x": "1"})
        copy = store.copy("a", "b", origin=origin)
        assert (copy.size, copy.content_type, copy.metadata) == (source.size, "text/plain", {"x": "1"})
        assert copy.sha256 in {source.sha256, None}
        assert read(store, "b") == b"bytes" * 300_000
        with pytest.raises(ObjectNotFoundError):
            store.copy("a", "c")

    def test_a_copy_of_a_missing_object_is_refused(self, store: ObjectStore) -> None:
        """And leaves what stands under the key."""
        store.put("b", b"old")
        for origin in (None, store, MemoryStore()):
            with pytest.raises(ObjectNotFoundError):
                store.copy("a", "b", origin=origin)
        assert read(store, "b") == b"old"

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
        assert read(store, "b") == b"old"


def _memory_with(key: str) -> MemoryStore:
    store = MemoryStore()
    store.put(key, b"memory")
    return store
