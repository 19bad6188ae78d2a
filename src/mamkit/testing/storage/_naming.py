"""The part of a store's contract that is about keys, and the facts that go with an object."""

from collections.abc import Callable
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.storage import InvalidKeyError, InvalidMetadataError, ObjectStore, StorageError
from mamkit.testing.storage._declared import Declared, read
from mamkit.testing.storage._keys import BAD_KEYS, GOOD_KEYS

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["NamingContract"]


class NamingContract(Declared):
    """A key is taken or refused by every store alike."""

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
        assert read(store, key) == key.encode()
        assert [info.key for info in store.list()] == [key]
        assert [info.key for info in store.list(key)] == [key]
        store.copy(key, "copy")
        assert read(store, "copy") == key.encode()
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
            assert read(store, key) == key.encode()

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

    def _is_too_long(self, key: str) -> bool:
        longest = max(len(segment.encode()) for segment in key.split("/"))
        return longest > self.longest_segment or len(key.encode()) > self.longest_key
