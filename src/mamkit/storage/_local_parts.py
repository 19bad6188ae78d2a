"""Uploads in parts to a store that has no server of its own: each part is an object beside the one that it is to be of.

A part is an ordinary signed upload, so whoever serves those needs to know nothing of parts.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from mamkit.storage._facts import check_facts
from mamkit.storage._upload import pour
from mamkit.storage.errors import ObjectNotFoundError, UnboundedUploadError, UploadRejectedError
from mamkit.storage.keys import check_key
from mamkit.storage.models import Expected, ObjectInfo, PartsPlan, SignedRequest
from mamkit.storage.protocols import ObjectStore, RequestSigner

__all__ = ["LocalParts"]

_PART_SIZE = 64 * 1024 * 1024  # bytes, where the caller leaves it open: one file each, so not too many
_SMALLEST = 5 * 1024 * 1024  # bytes: as on S3, so that what works here works there
_LARGEST_COUNT = 10_000  # as on S3


class LocalParts:
    """`SignsParts` over a store's own objects.

    Args:
        store: Keeps parts and wholes.
        signer: Gives what signs requests; raises where nothing does.
    """

    def __init__(self, store: ObjectStore, signer: Callable[[], RequestSigner]) -> None:
        self._store = store
        self._signer = signer

    def begin(
        self, key: str, *, content_type: str, expected: Expected, part_size: int | None, checksums: bool
    ) -> PartsPlan:
        """Begin an upload and return its plan."""
        self._signer()
        check_key(key)
        check_facts(content_type, None)
        if expected.size is None:
            raise UnboundedUploadError(key)
        size = max(part_size or _PART_SIZE, _SMALLEST, -(-expected.size // _LARGEST_COUNT))
        plan = PartsPlan(
            key=key,
            upload_id=secrets.token_hex(16),
            size=expected.size,
            part_size=size,
            content_type=content_type,
            checksums=checksums,
            sha256=expected.sha256,
        )
        self._store.put(_mark(plan), b"")
        return plan

    def sign(self, plan: PartsPlan, number: int, *, sha256: str | None, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes one part."""
        plan.check_part(number, sha256)
        return self._signer().sign(
            "PUT",
            _part(plan, number),
            content_type=plan.content_type,
            expected=Expected(size=plan.size_of(number), sha256=sha256),
            expires_in=expires_in,
        )

    def put(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part."""
        plan.check_data(number, data)
        self._check_begun(plan)
        self._store.put(_part(plan, number), bytes(data))

    def there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        self._check_begun(plan)
        sizes = {info.key: info.size for info in self._store.list(_folder(plan))}
        wanted = {number: _part(plan, number) for number in range(1, plan.count + 1)}
        return frozenset(number for number, key in wanted.items() if sizes.get(key) == plan.size_of(number))

    def complete(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        there = self.there(plan)
        for number in range(1, plan.count + 1):
            if number not in there:
                raise UploadRejectedError("size", expected=plan.size_of(number), actual=0, key=plan.key)

        expected = Expected(size=plan.size, sha256=plan.sha256)
        with self._store.upload(plan.key, content_type=plan.content_type, expected=expected) as upload:
            for number in range(1, plan.count + 1):
                with self._store.get(_part(plan, number)) as body:
                    pour(upload, body)
            info = upload.commit()
        self.abort(plan)
        return info

    def abort(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        for info in list(self._store.list(_folder(plan))):
            with suppress(ObjectNotFoundError):
                self._store.delete(info.key)

    def _check_begun(self, plan: PartsPlan) -> None:
        try:
            self._store.head(_mark(plan))
        except ObjectNotFoundError as error:
            raise ObjectNotFoundError(plan.key) from error


def _folder(plan: PartsPlan) -> str:
    return f"{plan.key}.parts/{plan.upload_id}/"


def _mark(plan: PartsPlan) -> str:
    return f"{_folder(plan)}begun"


def _part(plan: PartsPlan, number: int) -> str:
    return f"{_folder(plan)}{number:05}"
