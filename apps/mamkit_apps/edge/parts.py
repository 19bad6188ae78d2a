"""Uploads in parts, for stores without a server of their own: kept as objects beside the key until they are joined.

A part is an object `{key}.parts/{upload}/{number}`: any store can hold it, and an edge that restarts forgets nothing.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack

from mamkit.signing import Grant
from mamkit.storage import Expected, ObjectInfo, ObjectNotFoundError, ObjectStore, UploadRejectedError
from mamkit_apps.problems import InvalidRequestError

__all__ = ["MOST_PARTS", "abort", "join", "list_parts", "part_key", "upload_of"]

MOST_PARTS = 10_000  # Amazon S3, "Multipart upload limits"
SMALLEST = 5 << 20  # bytes of a part other than the last; ibid.
UPLOAD = re.compile(r"[A-Za-z0-9_-]{1,64}")
BLOCK = 1 << 20  # bytes that are copied at once


def upload_of(grant: Grant) -> str:
    """Return the id of the upload that a grant is for.

    Raises:
        InvalidRequestError: It is for none in parts.
    """
    upload = grant.conditions.get("upload", "")
    if not UPLOAD.fullmatch(upload):
        raise InvalidRequestError("this URL is not for an upload in parts")
    return upload


def part_key(key: str, upload: str, number: str) -> str:
    """Return the key under which a part is kept.

    Raises:
        InvalidRequestError: The number is none from 1 to 10,000.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,4}", number) or int(number) > MOST_PARTS:
        raise InvalidRequestError(f"part: a number from 1 to {MOST_PARTS}")
    return f"{key}.parts/{upload}/{int(number):05d}"


def list_parts(store: ObjectStore, key: str, upload: str) -> list[ObjectInfo]:
    """Return the parts that are there, in order."""
    return list(store.list(f"{key}.parts/{upload}/"))


def abort(store: ObjectStore, key: str, upload: str) -> None:
    """Remove all parts."""
    for info in list_parts(store, key, upload):
        store.delete(info.key)


def join(store: ObjectStore, key: str, grant: Grant, wanted: list[tuple[int, str]]) -> ObjectInfo:
    """Make parts one object, checked against the grant as a whole, and remove them.

    Args:
        store: Holds them.
        key: Of the object.
        grant: Says what it must be.
        wanted: Number and ETag of each part, in order.

    Raises:
        InvalidRequestError: A part is missing or another than its ETag says, is too small, or the order is wrong.
        UploadRejectedError: Together they are not what was announced.
    """
    upload = upload_of(grant)
    there = {int(info.key.rpartition("/")[2]): info for info in list_parts(store, key, upload)}
    if not wanted or [number for number, _ in wanted] != sorted({number for number, _ in wanted}):
        raise InvalidRequestError("parts: name each once, in ascending order")
    for position, (number, etag) in enumerate(wanted, 1):
        info = there.get(number)
        if info is None or info.etag != etag.strip('"'):
            raise InvalidRequestError(f"part {number} is not there, or its ETag is another")
        if position < len(wanted) and info.size < SMALLEST:
            raise InvalidRequestError(f"part {number} has less than {SMALLEST} bytes, and is not the last")
    expected = Expected(size=int(grant.conditions["length"]), sha256=grant.conditions.get("sha256"))
    sizes = sum(there[number].size for number, _ in wanted)
    if sizes != expected.size:
        raise UploadRejectedError("size", expected=expected.size or 0, actual=sizes, key=key)
    keys = [there[number].key for number, _ in wanted]
    with store.upload(key, content_type=grant.conditions["type"], expected=expected) as target:
        for block in _blocks(store, keys):
            target.write(block)
        info = target.commit()
    abort(store, key, upload)
    return info


def _blocks(store: ObjectStore, keys: list[str]) -> Iterator[bytes]:
    for key in keys:
        with ExitStack() as stack:
            try:
                body = stack.enter_context(store.get(key))
            except ObjectNotFoundError as error:
                raise InvalidRequestError("a part went away; begin the upload anew") from error
            while block := body.read(BLOCK):
                yield block
