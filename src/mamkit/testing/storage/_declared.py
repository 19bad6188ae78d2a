"""What a store under test declares of itself, and what all parts of the contract share."""

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from mamkit.errors import MissingExtraError
from mamkit.storage import ObjectInfo, ObjectStore
from mamkit.storage.keys import MAX_KEY_BYTES

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["Declared", "read", "same"]


class Declared:
    """The fixture and the declarations of `StorageContract`, which documents them."""

    records_sha256: ClassVar[bool] = True
    replaces_if_match: ClassVar[bool] = False
    removes_if_match: ClassVar[bool] = False
    signs_requests: ClassVar[bool] = False
    signs_forms: ClassVar[bool] = False
    signs_parts: ClassVar[bool] = False
    retains: ClassVar[bool] = False
    lists_facts: ClassVar[bool] = True
    longest_segment: ClassVar[int] = MAX_KEY_BYTES
    longest_key: ClassVar[int] = MAX_KEY_BYTES

    @pytest.fixture
    def store(self) -> ObjectStore:
        """Return an empty store; to be overridden."""
        pytest.fail("override the fixture `store`")


def same(found: ObjectInfo, written: ObjectInfo) -> bool:
    """Return whether these are the same facts; a server may tell the time of a write by a clock of whole seconds."""
    near = abs(found.modified_at - written.modified_at) <= timedelta(seconds=2)
    return near and replace(found, modified_at=written.modified_at) == written


def read(store: ObjectStore, key: str) -> bytes:
    """Return the bytes of an object."""
    with store.get(key) as body:
        return body.read()
