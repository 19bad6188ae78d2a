"""The contract of a store as tests: inherit `StorageContract`, say what your store is, and run pytest.

    class TestMyStore(StorageContract):
        @pytest.fixture
        def store(self):
            return MyStore()

Call `pytest.register_assert_rewrite("mamkit.testing.storage")` in a `conftest.py` to see the values of what fails. Each
capability has its tests in a module of its own; a store inherits all of them, and declares what it cannot do.
"""

from mamkit.storage import ObjectStore
from mamkit.testing.storage._copying import CopyingContract
from mamkit.testing.storage._declared import same
from mamkit.testing.storage._keys import BAD_KEYS, GOOD_KEYS
from mamkit.testing.storage._listing import ListingContract
from mamkit.testing.storage._matching import MatchingContract
from mamkit.testing.storage._naming import NamingContract
from mamkit.testing.storage._parts import PartsContract
from mamkit.testing.storage._raw import RawAccess, RawContract
from mamkit.testing.storage._reading import ReadingContract
from mamkit.testing.storage._retention import RetentionContract
from mamkit.testing.storage._signing import SigningContract
from mamkit.testing.storage._writing import WritingContract

__all__ = ["BAD_KEYS", "GOOD_KEYS", "RawAccess", "StorageContract", "same"]


class StorageContract(
    ReadingContract,
    WritingContract,
    CopyingContract,
    MatchingContract,
    ListingContract,
    NamingContract,
    RetentionContract,
    SigningContract,
    PartsContract,
    RawContract,
):
    """What holds for every `mamkit.storage.ObjectStore`.

    The fixture `store` is to be overridden; `raw` as well where there is a way past the store to what it keeps. What a
    store declares not to do is tried all the same: the method is missing, or raises `UnsupportedOperationError`.

    Attributes:
        records_sha256: Whether `ObjectInfo.sha256` is known of everything that was written through the store.
        replaces_if_match: Whether `replace` works (`ChangesIfMatch`).
        removes_if_match: Whether `remove` works (`ChangesIfMatch`).
        signs_requests: Whether `sign_get` and `sign_put` work.
        signs_forms: Whether `sign_form` works.
        signs_parts: Whether uploads in parts work (`SignsParts`).
        retains: Whether objects can be retained (`RetainsObjects`).
        lists_facts: Whether a listing also tells type, SHA-256 and metadata.
        longest_segment: Bytes that a segment of a key may have at most; longer ones raise a `StorageError`, and nothing
            is written.
        longest_key: Bytes that a key may have at most; longer ones, as above.
    """

    def test_is_an_object_store(self, store: ObjectStore) -> None:
        """It has the methods of the Protocol."""
        assert isinstance(store, ObjectStore)
