"""The part of a store's contract that is about uploads in parts by others."""

import hashlib
from datetime import timedelta
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.storage import (
    Expected,
    InvalidKeyError,
    InvalidRangeError,
    ObjectNotFoundError,
    ObjectStore,
    PartsPlan,
    SignsParts,
    UnboundedUploadError,
    UnsupportedOperationError,
    UploadRejectedError,
    WritesParts,
)
from mamkit.testing.storage._declared import Declared

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["PartsContract"]

_HOUR = timedelta(hours=1)
_PART = 5 * 1024 * 1024  # bytes of any part but the last at least: Amazon S3 user guide, "Multipart upload limits"
_SIZE = 2 * _PART + 13
_SHA256 = hashlib.sha256(b"a part").hexdigest()


class PartsContract(Declared):
    """An upload in parts is planned, signed part by part, and seen by nobody before it is completed."""

    @pytest.fixture
    def in_parts(self, store: ObjectStore) -> SignsParts:
        """Return the store, or skip where it declares not to take uploads in parts."""
        if not self.signs_parts:
            pytest.skip("this store declares to take no uploads in parts: `signs_parts`")
        assert isinstance(store, SignsParts)
        return store

    def test_uploads_in_parts_are_refused_where_that_is_declared(self, store: ObjectStore) -> None:
        """By the method's absence, or by name."""
        if not self.signs_parts and isinstance(store, SignsParts):
            with pytest.raises(UnsupportedOperationError):
                store.begin_parts("a", content_type="video/mp4", expected=Expected(size=_SIZE))

    def test_an_upload_in_parts_is_planned(self, store: ObjectStore, in_parts: SignsParts) -> None:
        """All parts are as large as was asked but the last; and nothing is under the key."""
        plan = _begin(in_parts)
        assert (plan.key, plan.size, plan.count) == ("film.mp4", _SIZE, 3)
        assert [plan.size_of(number) for number in (1, 2, 3)] == [_PART, _PART, 13]
        assert in_parts.parts_there(plan) == frozenset()
        with pytest.raises(ObjectNotFoundError):
            store.head("film.mp4")
        in_parts.abort_parts(plan)

    def test_parts_of_the_plan_are_signed_and_no_others(self, in_parts: SignsParts) -> None:
        """Each again if need be; with a digest all of them or none."""
        plan, checked = _begin(in_parts), _begin(in_parts, checksums=True)
        for number in (3, 1, 1):
            request = in_parts.sign_part(plan, number, expires_in=_HOUR)
            assert request.method == "PUT"
            assert request.url not in repr(request)
            in_parts.sign_part(checked, number, sha256=_SHA256, expires_in=_HOUR)
        others: list[Any] = [0, -1, 4, 10_001, True, 1.0]
        for number in others:
            with pytest.raises(InvalidRangeError):
                in_parts.sign_part(plan, number, expires_in=_HOUR)
        with pytest.raises(UnboundedUploadError):
            in_parts.sign_part(plan, 1, sha256=_SHA256, expires_in=_HOUR)
        with pytest.raises(UnboundedUploadError):
            in_parts.sign_part(checked, 1, expires_in=_HOUR)
        in_parts.abort_parts(plan)
        in_parts.abort_parts(checked)

    def test_an_upload_that_lacks_parts_is_not_completed(self, store: ObjectStore, in_parts: SignsParts) -> None:
        """It goes on, and an object that was there before stays."""
        store.put("film.mp4", b"old")
        plan = _begin(in_parts)
        with pytest.raises(UploadRejectedError):
            in_parts.complete_parts(plan)
        assert in_parts.parts_there(plan) == frozenset()
        in_parts.abort_parts(plan)
        assert store.head("film.mp4").size == 3

    def test_an_upload_in_parts_that_is_over_is_not_found(self, store: ObjectStore, in_parts: SignsParts) -> None:
        """It may be ended twice, and leaves nothing."""
        plan, other = _begin(in_parts), _begin(in_parts)
        in_parts.abort_parts(plan)
        in_parts.abort_parts(plan)
        with pytest.raises(ObjectNotFoundError):
            in_parts.parts_there(plan)
        with pytest.raises(ObjectNotFoundError):
            in_parts.complete_parts(plan)
        assert in_parts.parts_there(other) == frozenset()  # of the same key, and another upload
        in_parts.abort_parts(other)
        assert list(store.list()) == []

    def test_parts_that_are_written_here_are_kept_until_they_are_joined(
        self, store: ObjectStore, in_parts: SignsParts
    ) -> None:
        """In any order and again; of another size, or of an upload that is over, none is taken (`WritesParts`)."""
        if not isinstance(in_parts, WritesParts):
            pytest.skip("parts are not written by this process: `WritesParts`")
        parts = [bytes([number]) * size for number, size in enumerate((_PART, _PART, 13), 1)]
        plan = _begin(in_parts)
        for number in (3, 1):
            in_parts.put_part(plan, number, parts[number - 1])
            in_parts.put_part(plan, number, bytearray(parts[number - 1]))
        assert in_parts.parts_there(plan) == {1, 3}
        with pytest.raises(UploadRejectedError):
            in_parts.put_part(plan, 2, parts[1][1:])
        with pytest.raises(InvalidRangeError):
            in_parts.put_part(plan, 4, b"")
        in_parts.put_part(plan, 2, parts[1])
        assert in_parts.complete_parts(plan).size == _SIZE
        with store.get("film.mp4") as body:
            assert b"".join(body) == b"".join(parts)
        with pytest.raises(ObjectNotFoundError):
            in_parts.put_part(plan, 1, parts[0])

    def test_an_upload_in_parts_without_a_bound_or_a_key_is_refused(self, in_parts: SignsParts) -> None:
        """Before anything is begun."""
        with pytest.raises(UnboundedUploadError):
            in_parts.begin_parts("film.mp4", content_type="video/mp4", expected=Expected())
        with pytest.raises(InvalidKeyError):
            in_parts.begin_parts("../film.mp4", content_type="video/mp4", expected=Expected(size=_SIZE))


def _begin(store: SignsParts, *, checksums: bool = False) -> PartsPlan:
    return store.begin_parts(
        "film.mp4", content_type="video/mp4", expected=Expected(size=_SIZE), part_size=_PART, checksums=checksums
    )
