"""What a store raises; all of it is a `StorageError`."""

import errno
from datetime import datetime
from typing import Literal

from mamkit.errors import MamkitError

__all__ = [
    "InvalidKeyError",
    "InvalidMetadataError",
    "InvalidRangeError",
    "MasterConflictError",
    "ObjectChangedError",
    "ObjectExistsError",
    "ObjectNotFoundError",
    "ObjectRetainedError",
    "RangeNotSatisfiableError",
    "StorageError",
    "StorageFullError",
    "StorageUnavailableError",
    "UnboundedUploadError",
    "UnsupportedOperationError",
    "UploadClosedError",
    "UploadRejectedError",
]


class StorageError(MamkitError):
    """Base of what `mamkit.storage` raises."""

    code = "storage.error"


class InvalidKeyError(StorageError, ValueError):
    """A text is not a key; see `mamkit.storage.keys.check_key`.

    Attributes:
        key: What was given.
        reason: The rule that it breaks.
    """

    code = "storage.invalid_key"

    def __init__(self, key: object, reason: str) -> None:
        super().__init__(f"{_short(key)} cannot be a key: {reason}")
        self.key = key
        self.reason = reason


class InvalidMetadataError(StorageError, ValueError):
    """A content type or a metadata entry could not be sent in an HTTP header as it is.

    Attributes:
        name: Name of the entry, or `content_type`.
        reason: The rule that it breaks.
    """

    code = "storage.invalid_metadata"

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(f"{_short(name)} cannot be stored with an object: {reason}")
        self.name = name
        self.reason = reason


class InvalidRangeError(StorageError, ValueError):
    """Two numbers do not make a range of bytes.

    Attributes:
        start: First byte that was asked for.
        stop: Byte after the last one.
    """

    code = "storage.invalid_range"

    def __init__(self, start: object, stop: object) -> None:
        super().__init__(f"from {start!r} to {stop!r} is no range of bytes: start must be 0 or more and less than stop")
        self.start = start
        self.stop = stop


class RangeNotSatisfiableError(StorageError):
    """An object has no byte in the range that was asked for (RFC 9110 section 15.5.17).

    Attributes:
        asked: The range, as text.
        size: Bytes that the object has.
    """

    code = "storage.range_not_satisfiable"

    def __init__(self, asked: str, size: int) -> None:
        super().__init__(f"an object of {size} bytes has nothing in the range {asked!r}")
        self.asked = asked
        self.size = size


class ObjectNotFoundError(StorageError, FileNotFoundError):
    """Nothing is stored under a key.

    Attributes:
        key: The key.
    """

    code = "storage.not_found"

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing is stored under {_short(key)}")
        self.key = key
        self.errno = errno.ENOENT


class ObjectExistsError(StorageError, FileExistsError):
    """An object was to be made only if its key was free, and the key is taken.

    Attributes:
        key: The key.
    """

    code = "storage.exists"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is an object under {_short(key)} already; it was left as it is")
        self.key = key
        self.errno = errno.EEXIST


class ObjectChangedError(StorageError):
    """An object was replaced between two looks at it; begin again with the new one.

    Attributes:
        key: The key.
        expected: ETag of the first look.
        actual: ETag of the second.
    """

    code = "storage.changed"

    def __init__(self, key: str, *, expected: str, actual: str) -> None:
        super().__init__(f"the object under {_short(key)} was replaced meanwhile; begin again with the new one")
        self.key = key
        self.expected = expected
        self.actual = actual


class ObjectRetainedError(StorageError, PermissionError):
    """An object is retained: until that is over it is neither replaced nor deleted, by nobody.

    Attributes:
        key: The key.
        until: When the retention ends.
    """

    code = "storage.retained"

    def __init__(self, key: str, until: datetime) -> None:
        super().__init__(f"the object under {_short(key)} is retained until {until.isoformat()}; it was left as it is")
        self.key = key
        self.until = until
        self.errno = errno.EPERM


class UploadRejectedError(StorageError):
    """The bytes of an upload are not those that were announced; nothing was stored.

    Attributes:
        what: In which respect.
        expected: What was announced.
        actual: What came; for a size that is too large, how much had come when the upload was refused.
        key: Under which the bytes were to be stored, where that is known.
    """

    code = "storage.upload_rejected"

    def __init__(
        self,
        what: Literal["size", "sha256", "type"],
        *,
        expected: int | str,
        actual: int | str,
        key: str | None = None,
    ) -> None:
        whose = "the upload" if key is None else f"the upload to {_short(key)}"
        super().__init__(f"{whose} has the {what} {_short(actual)} where {_short(expected)} was announced")
        self.what = what
        self.expected = expected
        self.actual = actual
        self.key = key


class UploadClosedError(StorageError, ValueError):
    """An upload was used after it was committed, refused or left.

    Attributes:
        key: Key of the upload.
    """

    code = "storage.upload_closed"

    def __init__(self, key: str) -> None:
        super().__init__(f"the upload to {_short(key)} is over; begin a new one")
        self.key = key


class UnboundedUploadError(StorageError, ValueError):
    """A request was to be signed that would let a stranger upload as much as they like, or another content.

    Attributes:
        key: Key of the upload.
    """

    code = "storage.unbounded_upload"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"an upload to {_short(key)} is not signed without a bound; say the size, and the digest if it is due"
        )
        self.key = key


class StorageFullError(StorageError, OSError):
    """The store has no room for an object, or not for one of that size (ENOSPC, EDQUOT, EFBIG); nothing was stored.

    Attributes:
        key: The key.
        errno: Which of them.
    """

    code = "storage.full"

    def __init__(self, key: str, number: int = errno.ENOSPC) -> None:
        super().__init__(f"there is no room for {_short(key)}; free some, or raise the quota, and try again")
        self.key = key
        self.errno = number


class StorageUnavailableError(StorageError):
    """The backend failed: it cannot be reached, refuses access, or holds something that it should not.

    Attributes:
        subject: The key or place that was worked on.
        reason: What the backend says.
    """

    code = "storage.unavailable"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"the store failed at {_short(subject)}: {reason}")
        self.subject = subject
        self.reason = reason


class UnsupportedOperationError(StorageError):
    """A store cannot do what it was asked for; the message says what would let it."""

    code = "storage.unsupported"


class MasterConflictError(StorageError):
    """A master is there already and holds other bytes; masters are never overwritten.

    Attributes:
        key: Key of the master.
        expected: SHA-256 of the bytes that were to be promoted.
        actual: SHA-256 of the master.
    """

    code = "storage.master_conflict"

    def __init__(self, key: str, *, expected: str, actual: str) -> None:
        super().__init__(
            f"the master {_short(key)} holds other bytes (SHA-256 {actual}, not {expected}); promote to a new version"
        )
        self.key = key
        self.expected = expected
        self.actual = actual


def _short(value: object) -> str:
    """Return a value as text for a message, cut to 200 characters: it may come from a stranger."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
