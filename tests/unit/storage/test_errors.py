"""What a store raises can be caught as what Python raises, and names its subject without flooding a log."""

import errno

import pytest

from mamkit.storage import (
    InvalidKeyError,
    InvalidMetadataError,
    MasterConflictError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    UnboundedUploadError,
    UploadClosedError,
    UploadRejectedError,
)

LONG = "k" * 5000


@pytest.mark.parametrize(
    "error",
    [
        InvalidKeyError(LONG, "why"),
        InvalidMetadataError(LONG, "why"),
        MasterConflictError(LONG, expected="0" * 64, actual="1" * 64),
        ObjectChangedError(LONG, expected="a", actual="b"),
        ObjectExistsError(LONG),
        ObjectNotFoundError(LONG),
        StorageFullError(LONG),
        StorageUnavailableError(LONG, "why"),
        UnboundedUploadError(LONG),
        UploadClosedError(LONG),
        UploadRejectedError("type", expected=LONG, actual=LONG, key=LONG),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_message_is_one_bounded_line(error: StorageError) -> None:
    assert 20 < len(str(error)) < 800
    assert "\n" not in str(error)


def test_files_that_are_missing_taken_or_too_large_are_what_python_says() -> None:
    assert isinstance(ObjectNotFoundError("a"), FileNotFoundError)
    assert ObjectNotFoundError("a").errno == errno.ENOENT
    assert isinstance(ObjectExistsError("a"), FileExistsError)
    assert ObjectExistsError("a").errno == errno.EEXIST
    assert isinstance(StorageFullError("a", errno.EDQUOT), OSError)
    assert StorageFullError("a", errno.EDQUOT).errno == errno.EDQUOT


def test_a_refused_upload_says_what_was_wrong() -> None:
    error = UploadRejectedError("size", expected=4, actual=5, key="a")
    assert str(error) == "the upload to 'a' has the size 5 where 4 was announced"
    assert (error.what, error.expected, error.actual, error.key) == ("size", 4, 5, "a")
