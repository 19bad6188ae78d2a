"""The part of a store's contract that is about retention."""

from datetime import timedelta

from mamkit.clock import utc_now
from mamkit.errors import MissingExtraError
from mamkit.storage import (
    ObjectNotFoundError,
    ObjectRetainedError,
    ObjectStore,
    RetainsObjects,
    UnsupportedOperationError,
)
from mamkit.testing.storage._declared import Declared, read, same

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["RetentionContract"]

_HOUR = timedelta(hours=1)


class RetentionContract(Declared):
    """What is retained is neither removed nor replaced, whoever asks."""

    def test_retention_is_refused_where_that_is_declared(self, store: ObjectStore) -> None:
        """By the method's absence, or by name; and the object is as it was."""
        if not self.retains and isinstance(store, RetainsObjects):
            store.put("a", b"bytes")
            with pytest.raises(UnsupportedOperationError):
                store.retain("a", until=utc_now() + _HOUR)
            store.delete("a")

    def test_what_is_retained_is_neither_removed_nor_replaced(self, store: ObjectStore) -> None:
        """It is read as ever; and the error says until when."""
        if not self.retains:
            pytest.skip("this store declares to retain nothing: `retains`")
        assert isinstance(store, RetainsObjects)
        written, until = store.put("a", b"bytes", content_type="text/plain"), utc_now() + _HOUR
        store.put("b", b"other")
        assert store.retained_until("a") is None
        store.retain("a", until=until)
        store.retain("a", until=until - _HOUR / 2)  # it is only ever prolonged
        assert store.retained_until("a") == until
        with pytest.raises(ObjectRetainedError) as raised:
            store.delete("a")
        assert raised.value.until == until
        with pytest.raises(ObjectRetainedError):
            store.put("a", b"new")
        with pytest.raises(ObjectRetainedError):
            store.copy("b", "a")
        assert same(store.head("a"), written)
        assert read(store, "a") == b"bytes"
        store.retain("a", until=until + _HOUR)
        assert store.retained_until("a") == until + _HOUR

    def test_a_copy_of_what_is_retained_is_free(self, store: ObjectStore) -> None:
        """As is what was retained until a time that is over; and nothing is retained where nothing is."""
        if not self.retains:
            pytest.skip("this store declares to retain nothing: `retains`")
        assert isinstance(store, RetainsObjects)
        store.put("a", b"bytes")
        store.retain("a", until=utc_now() + _HOUR)
        store.copy("a", "b")
        store.delete("b")
        store.put("c", b"bytes")
        store.retain("c", until=utc_now() - _HOUR)
        store.delete("c")
        for key in ("b", "c", "d"):
            with pytest.raises(ObjectNotFoundError):
                store.retain(key, until=utc_now() + _HOUR)
            with pytest.raises(ObjectNotFoundError):
                store.retained_until(key)
