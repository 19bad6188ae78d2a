"""The part of a store's contract that looks past the store, at what is really there."""

import hashlib
from typing import Protocol

from mamkit.errors import MissingExtraError
from mamkit.storage import Expected, ObjectExistsError, ObjectNotFoundError, ObjectStore, UploadRejectedError
from mamkit.testing.storage._declared import Declared

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["RawAccess", "RawContract"]


class RawAccess(Protocol):
    """A second way to the objects of a store under test, which goes past all of its code: files, rows, another client.

    Only plain keys are asked of it: lower-case letters, slashes, and `.mp4` at the end.
    """

    def read(self, key: str) -> bytes | None:
        """Return the bytes that are there; None if there are none."""

    def write(self, key: str, data: bytes) -> None:
        """Put bytes there, as another program would."""

    def keys(self) -> set[str]:
        """Return what is there, unfinished things that stand under a key included; the store's own files are not."""


class RawContract(Declared):
    """What a store leaves behind, seen by somebody else."""

    @pytest.fixture
    def raw(self) -> RawAccess | None:
        """Return a way past the store to what it keeps; None, which is the default, if there is none."""
        return None

    @pytest.fixture
    def past(self, raw: RawAccess | None) -> RawAccess:
        """Return the way past the store, or skip."""
        if raw is None:
            pytest.skip("this store declares no way past it: the fixture `raw`")
        return raw

    def test_what_was_written_is_there(self, store: ObjectStore, past: RawAccess) -> None:
        """Byte for byte: put whole, put in blocks, replaced and copied."""
        large = bytes(range(256)) * 8192
        store.put("films/a.mp4", b"bytes")
        store.put("films/b.mp4", [large[:1_000_000], large[1_000_000:]])
        store.put("films/a.mp4", b"other bytes")
        store.copy("films/a.mp4", "films/deep/c.mp4")
        assert past.read("films/a.mp4") == past.read("films/deep/c.mp4") == b"other bytes"
        assert past.read("films/b.mp4") == large
        assert past.keys() == {"films/a.mp4", "films/b.mp4", "films/deep/c.mp4"}

    def test_what_was_refused_or_left_is_not_there(self, store: ObjectStore, past: RawAccess) -> None:
        """Nor anything of it, under its key or another."""
        store.put("taken.mp4", b"old")
        wrong = hashlib.sha256(b"other").hexdigest()
        with pytest.raises(UploadRejectedError):
            store.put("refused.mp4", b"bytes", expected=Expected(sha256=wrong))
        with pytest.raises(UploadRejectedError):
            store.put("taken.mp4", b"bytes", expected=Expected(size=4))
        with pytest.raises(ObjectExistsError):
            store.put("taken.mp4", b"bytes", if_absent=True)
        with store.upload("left.mp4") as upload:
            upload.write(b"bytes")
        assert past.keys() == {"taken.mp4"}
        assert past.read("taken.mp4") == b"old"

    def test_what_was_deleted_is_gone(self, store: ObjectStore, past: RawAccess) -> None:
        """It is not only out of sight."""
        store.put("a.mp4", b"bytes")
        store.put("b.mp4", b"bytes")
        store.delete("a.mp4")
        assert past.read("a.mp4") is None
        assert past.keys() == {"b.mp4"}

    def test_what_others_write_is_found(self, store: ObjectStore, past: RawAccess) -> None:
        """With its size and bytes, listed, copied and deleted; what they replace is never taken for the old."""
        past.write("theirs.mp4", b"bytes of theirs")
        assert store.head("theirs.mp4").size == 15
        assert [info.key for info in store.list()] == ["theirs.mp4"]
        store.copy("theirs.mp4", "copy.mp4")
        assert past.read("copy.mp4") == b"bytes of theirs"
        ours = store.put("ours.mp4", b"ours")
        past.write("ours.mp4", b"replaced")
        found = store.head("ours.mp4")
        assert (found.size, found.etag == ours.etag) == (8, False)
        assert found.sha256 in {None, hashlib.sha256(b"replaced").hexdigest()}
        with store.get("ours.mp4") as body:
            assert body.read() == b"replaced"
        store.delete("theirs.mp4")
        assert past.read("theirs.mp4") is None
        with pytest.raises(ObjectNotFoundError):
            store.head("theirs.mp4")
