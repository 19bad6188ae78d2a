"""What a store on S3 signs for others: reading, writing, forms, parts."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from mamkit.clock import Clock
from mamkit.storage._facts import check_facts
from mamkit.storage.errors import (
    ObjectNotFoundError,
    StorageError,
    UnboundedUploadError,
    UnsupportedOperationError,
    UploadRejectedError,
)
from mamkit.storage.models import Expected, ObjectInfo, PartsPlan, SignedForm, SignedRequest
from mamkit.storage.s3._client import S3Client
from mamkit.storage.s3._http import Bucket
from mamkit.storage.s3._sigv4 import Signer, encode_path
from mamkit.storage.s3._upload import Parts, Wanted, part_size_for
from mamkit.storage.s3._wire import RefusalError, base64_digest, parse_xml, text_of, to_error

__all__ = ["S3Signing"]

_LONGEST = timedelta(days=7)  # Amazon S3 API Reference, "X-Amz-Expires"


class S3Signing:
    """`SignsDownloads`, `SignsUploads`, `SignsForms` and `SignsParts` on one bucket.

    Args:
        client: Begins and completes uploads in parts.
        signer: Signs.
        public: Where clients reach the bucket.
        clock: Tells the time.
        part_size: Bytes of a part, where the caller leaves it open.
        check: Checks a key.
    """

    def __init__(
        self,
        client: S3Client,
        signer: Signer,
        public: Bucket,
        *,
        clock: Clock,
        part_size: int,
        check: Callable[[str], str],
    ) -> None:
        self._client = client
        self._signer = signer
        self._public = public
        self._host = public.host
        self._clock = clock
        self._part_size = part_size
        self._check = check

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object."""
        return self._sign("GET", self._check(key), {}, {}, expires_in)

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object."""
        self._check(key)
        check_facts(content_type, None)
        if expected.size is None:
            raise UnboundedUploadError(key)
        headers = {"content-type": content_type, "content-length": str(expected.size)}
        if expected.sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64_digest(expected.sha256)
        return self._sign("PUT", key, {}, headers, expires_in)

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object."""
        self._check(key)
        check_facts(content_type, None)
        if expected.size is None:
            raise UnboundedUploadError(key)
        fields = {"key": key, "content-type": content_type}
        if expected.sha256 is not None:
            fields["x-amz-checksum-sha256"] = base64_digest(expected.sha256)
        now, expires_at = self._times(expires_in)
        bounds = ["content-length-range", expected.size, expected.size]
        # In virtual-host style the host says the bucket; the condition is asked for all the same.
        conditions = [{"bucket": self._client.name}, bounds, *({name: value} for name, value in fields.items())]
        signed = self._signer.policy(conditions, expires_at=expires_at, now=now)
        url = f"{self._public.origin}{self._public.path}"
        return SignedForm(url=url, fields=fields | signed, expires_at=expires_at)

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload and return its plan."""
        self._check(key)
        check_facts(content_type, None)
        if expected.size is None:
            raise UnboundedUploadError(key)
        wanted = Wanted(key=key, content_type=content_type, metadata={}, if_absent=False)
        return PartsPlan(
            key=key,
            upload_id=self._client.begin_parts(wanted, checksums=checksums).upload_id,
            size=expected.size,
            part_size=part_size_for(expected.size, part_size or self._part_size),
            content_type=content_type,
            checksums=checksums,
            sha256=expected.sha256,
        )

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part."""
        plan.check_part(number, sha256)
        headers = {"content-length": str(plan.size_of(number))}
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = base64_digest(sha256)
        query = {"partNumber": str(number), "uploadId": plan.upload_id}
        return self._sign("PUT", self._check(plan.key), query, headers, expires_in)

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part."""
        plan.check_data(number, data)
        query = {"partNumber": str(number), "uploadId": plan.upload_id}
        # An upload that was begun without checksums takes none of its parts; and the digest that the signature covers
        # is one that SeaweedFS does not look at. This one every server does.
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        try:
            self._client.transport.request(
                "PUT",
                self._check(plan.key),
                query=query,
                headers={"content-md5": base64.b64encode(md5).decode()},
                body=memoryview(data),
                payload=hashlib.sha256(data).hexdigest(),
            )
        except RefusalError as refusal:
            raise _refused(refusal, plan) from refusal

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        sizes = {number: size for number, size, _ in self._parts(plan)}
        return frozenset(number for number in range(1, plan.count + 1) if sizes.get(number) == plan.size_of(number))

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        found = {number: (size, etag) for number, size, etag in self._parts(plan)}
        for number in range(1, plan.count + 1):
            size = found.get(number, (0, ""))[0]
            if number not in found or size != plan.size_of(number):
                raise UploadRejectedError("size", expected=plan.size_of(number), actual=size, key=plan.key)
        wanted = Wanted(key=plan.key, content_type=plan.content_type, metadata={}, if_absent=False)
        parts = Parts(wanted=wanted, key=plan.key, upload_id=plan.upload_id, token="")
        return self._client.finish_parts(parts, [found[number][1] for number in range(1, plan.count + 1)])

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        wanted = Wanted(key=plan.key, content_type=plan.content_type, metadata={}, if_absent=False)
        self._client.drop_parts(Parts(wanted=wanted, key=plan.key, upload_id=plan.upload_id, token=""))

    def _parts(self, plan: PartsPlan) -> Iterator[tuple[int, int, str]]:
        """Yield number, size and ETag (with the checksum, if there is one) of the parts that the server has."""
        query = {"uploadId": plan.upload_id}
        while True:
            try:
                page = parse_xml(self._client.transport.request("GET", self._check(plan.key), query=query).data)
            except RefusalError as refusal:
                raise _refused(refusal, plan) from refusal
            for part in page.iterfind("Part"):
                etag, sha256 = text_of(part, "ETag"), text_of(part, "ChecksumSHA256")
                yield int(text_of(part, "PartNumber")), int(text_of(part, "Size")), f"{etag} {sha256}".strip()
            marker = text_of(page, "NextPartNumberMarker")
            if text_of(page, "IsTruncated") != "true" or not marker:
                return
            query = {**query, "part-number-marker": marker}

    def _sign(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], expires_in: timedelta
    ) -> SignedRequest:
        now, expires_at = self._times(expires_in)
        path = f"{self._public.path}/{encode_path(key)}"
        text = self._signer.presign(
            method,
            path,
            query=query,
            headers={**headers, "host": self._host},
            seconds=int(expires_in.total_seconds()),
            now=now,
        )
        # Clients send the length themselves, and browsers let nobody else do it.
        sent = {name: value for name, value in headers.items() if name != "content-length"}
        return SignedRequest(
            method=method, url=f"{self._public.origin}{path}?{text}", headers=sent, expires_at=expires_at
        )

    def _times(self, expires_in: timedelta) -> tuple[datetime, datetime]:
        if not timedelta(seconds=1) <= expires_in <= _LONGEST:
            raise UnsupportedOperationError(f"S3 signs requests for 1 second to {_LONGEST.days} days, not {expires_in}")
        now = self._clock()
        return now, now + expires_in


def _refused(refusal: RefusalError, plan: PartsPlan) -> StorageError:
    return ObjectNotFoundError(plan.key) if refusal.reason == "NoSuchUpload" else to_error(refusal, plan.key)
