"""The operations of S3 on one bucket, with what makes them safe to repeat.

A request that was answered too late is sent again. So that a second attempt can tell the first one's success from a
stranger's, every conditional write and every upload in parts carries a random token among its metadata.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import quote
from xml.sax.saxutils import escape

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage.errors import (
    InvalidKeyError,
    ObjectExistsError,
    StorageError,
    UnsupportedOperationError,
)
from mamkit.storage.keys import check_key
from mamkit.storage.models import ByteRange, ObjectInfo
from mamkit.storage.s3._features import RESERVED, find_features, is_seaweed
from mamkit.storage.s3._http import Answer, Transport
from mamkit.storage.s3._options import S3Features, S3Options
from mamkit.storage.s3._sigv4 import UNSIGNED
from mamkit.storage.s3._upload import Parts, Wanted
from mamkit.storage.s3._wire import (
    OWN_METADATA,
    RefusalError,
    base64_digest,
    etag_of,
    full_sha256,
    info_from_headers,
    modified_at,
    parse_xml,
    text_of,
    to_error,
    whole_size,
)

__all__ = ["RESERVED", "S3Client", "check_own_key"]

_TOKEN = f"x-amz-meta-{OWN_METADATA}write"
_PRECONDITION_FAILED = 412


class S3Client:
    """Reads and writes objects; refusals are raised as `RefusalError` unless said otherwise.

    Args:
        transport: Sends.
        name: Of the bucket.
        options: Encryption that is asked for, the largest request, and what the server can do, if that is known.
    """

    def __init__(self, transport: Transport, name: str, options: S3Options) -> None:
        self.transport = transport
        self.name = name
        self.largest = options.largest_request
        encryption = options.encryption
        self._encryption = {} if encryption is None else {"x-amz-server-side-encryption": encryption}
        self._features = options.features
        self._named_seaweed: bool | None = None

    @property
    def features(self) -> S3Features:
        """What the server can do, found out at the first use."""
        if self._features is None:
            try:
                self._features = find_features(self.transport, self.name, self)
            except RefusalError as refusal:
                raise to_error(refusal, self.name) from refusal
        return self._features

    def head(self, key: str) -> Answer:
        """Ask for the facts of an object."""
        return self.transport.request("HEAD", key, headers={"x-amz-checksum-mode": "ENABLED"})

    def get(self, key: str, byte_range: ByteRange | None = None, *, etag: str | None = None) -> Answer:
        """Ask for the bytes of an object, or a run of them, of this ETag and no other."""
        headers = {"x-amz-checksum-mode": "ENABLED"}
        if byte_range is not None:  # with the last byte included (RFC 9110 section 14.1.2)
            stop = "" if byte_range.stop is None else byte_range.stop - 1
            headers["range"] = f"bytes={byte_range.start}-{stop}"
        if etag is not None:
            headers["if-match"] = f'"{etag}"'
        return self.transport.request("GET", key, headers=headers, stream=True)

    def put_whole(self, wanted: Wanted, data: bytes, sha256: str) -> ObjectInfo:
        """Write an object in one request.

        Raises:
            StorageError: As the contract says.
        """
        headers = self._facts(wanted) | {"x-amz-checksum-sha256": base64_digest(sha256)}
        return self._put(wanted, headers, data, sha256, size=len(data))

    def pour(self, wanted: Wanted, blocks: Callable[[], Iterable[bytes]], size: int) -> ObjectInfo:
        """Write an object of known size in one request without holding it.

        Raises:
            StorageError: As the contract says.
        """
        return self._put(wanted, self._facts(wanted) | {"content-length": str(size)}, blocks, UNSIGNED, size=size)

    def begin_parts(self, wanted: Wanted, *, checksums: bool = True) -> Parts:
        """Begin an upload in parts, where need be under a key of our own until it is whole.

        Args:
            wanted: What it is to become.
            checksums: Whether each part comes with its SHA-256, as those of `put_part` do.

        Raises:
            StorageError: The server says no.
        """
        token = secrets.token_hex(16)
        aside = wanted.if_match is not None or (wanted.if_absent and not self.features.conditional_complete)
        key = f"{RESERVED}parts/{token}" if aside else wanted.key
        headers = self._facts(wanted) | {_TOKEN: token}
        if checksums and self.declares_checksums():
            headers["x-amz-checksum-algorithm"] = "SHA256"
        try:
            answer = self.transport.request("POST", key, query={"uploads": ""}, headers=headers)
        except RefusalError as refusal:
            raise to_error(refusal, wanted.key) from refusal
        upload_id = text_of(parse_xml(answer.data), "UploadId")
        return Parts(wanted=wanted, key=key, upload_id=upload_id, token=token)

    def put_part(self, parts: Parts, number: int, data: bytes | memoryview) -> str:
        """Write a part and return its ETag.

        Raises:
            StorageError: The server says no.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        query = {"partNumber": str(number), "uploadId": parts.upload_id}
        headers = {"x-amz-checksum-sha256": base64_digest(sha256)}
        try:
            answer = self.transport.request("PUT", parts.key, query=query, headers=headers, body=data, payload=sha256)
        except RefusalError as refusal:
            raise to_error(refusal, parts.wanted.key) from refusal
        etag = answer.headers.get("etag", "")
        return f"{etag} {base64_digest(sha256)}" if self.declares_checksums() else etag

    def finish_parts(self, parts: Parts, etags: Sequence[str]) -> ObjectInfo:
        """Make the parts an object.

        Args:
            parts: The upload.
            etags: What `put_part` returned, or a bare ETag, of each.

        Raises:
            StorageError: As the contract says.
        """
        wanted, aside = parts.wanted, parts.key != parts.wanted.key
        condition = {"if-none-match": "*"} if wanted.if_absent and not aside else {}
        body = f"<CompleteMultipartUpload>{''.join(map(_part_xml, range(1, len(etags) + 1), etags))}"
        data = f"{body}</CompleteMultipartUpload>".encode()
        try:
            self.transport.request(
                "POST",
                parts.key,
                query={"uploadId": parts.upload_id},
                headers={**condition, "content-type": "application/xml"},
                body=data,
                payload=hashlib.sha256(data).hexdigest(),
            )
        except RefusalError as refusal:
            if not (refusal.again and self._is_ours(parts.key, parts.token)):
                raise self._write_error(refusal, wanted) from refusal
        if not aside:
            return self.info(wanted.key)
        try:
            return self._settle(self.info(parts.key), wanted)
        finally:
            with suppress(StorageError, RefusalError):
                self.delete(parts.key)

    def _settle(self, gathered: ObjectInfo, wanted: Wanted) -> ObjectInfo:
        """Give what was gathered under a key of our own its place, if its condition holds."""
        large = gathered.size > self.largest
        # On `If-Match` of a copy or of a completion servers differ (`docs/decisions/0104`): one write is relied on.
        if wanted.if_match is None and self.features.conditional_copy and (self.features.large_copy or not large):
            return self.copy(gathered, self.name, wanted)
        if large:
            raise UnsupportedOperationError(
                f"the server of {self.name!r} cannot write {gathered.size:,} bytes safely on a condition"
            )

        def blocks() -> Iterator[bytes]:
            raw = self.get(gathered.key, etag=gathered.etag).raw
            if raw is not None:
                while block := raw.read(BLOCK_SIZE):
                    yield block
                raw.release()

        return self.pour(wanted, blocks, gathered.size)

    def drop_parts(self, parts: Parts) -> None:
        """Forget the parts.

        Raises:
            StorageError: The server says no.
        """
        try:
            self.transport.request("DELETE", parts.key, query={"uploadId": parts.upload_id})
        except RefusalError as refusal:
            if refusal.reason != "NoSuchUpload":
                raise to_error(refusal, parts.wanted.key) from refusal

    def copy(self, source: ObjectInfo, bucket: str, wanted: Wanted) -> ObjectInfo:
        """Copy an object, no larger than one request may be, that has not changed; conditions must be honoured.

        Raises:
            StorageError: As the contract says.
        """
        headers = self._facts(wanted) | {
            "x-amz-copy-source": quote(f"/{bucket}/{source.key}", safe="/-._~"),
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            "x-amz-metadata-directive": "REPLACE",
            "x-amz-checksum-algorithm": "SHA256",
        }
        return self._put(wanted, headers, b"", None, size=source.size)

    def copy_part(self, parts: Parts, number: int, source: ObjectInfo, bucket: str, span: tuple[int, int]) -> str:
        """Make a range of an object, `stop` not included, a part, and return its ETag."""
        headers = {
            "x-amz-copy-source": quote(f"/{bucket}/{source.key}", safe="/-._~"),
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            "x-amz-copy-source-range": f"bytes={span[0]}-{span[1] - 1}",
        }
        query = {"partNumber": str(number), "uploadId": parts.upload_id}
        answer = self.transport.request("PUT", parts.key, query=query, headers=headers, at_work=span[1] - span[0])
        return text_of(parse_xml(answer.data), "ETag")

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.transport.request("DELETE", key)

    def info(self, key: str) -> ObjectInfo:
        """Return the facts of an object.

        Raises:
            StorageError: As the contract says.
        """
        try:
            headers = self.head(key).headers
        except RefusalError as refusal:
            raise to_error(refusal, key) from refusal
        return info_from_headers(key, headers, size=whole_size(key, headers))

    def _facts(self, wanted: Wanted) -> dict[str, str]:
        """Return the headers of a write that say what the object is."""
        metadata = {f"x-amz-meta-{name}": value for name, value in wanted.metadata.items()}
        return {"content-type": wanted.content_type, **metadata, **self._encryption}

    def _put(
        self,
        wanted: Wanted,
        headers: dict[str, str],
        body: bytes | Callable[[], Iterable[bytes]],
        payload: str | None,
        *,
        size: int,
    ) -> ObjectInfo:
        """Send the one request that writes an object; without `payload` it is a copy, whose facts are asked for."""
        token = ""
        if wanted.if_absent or wanted.if_match is not None:
            token = secrets.token_hex(16)
            condition = {"if-none-match": "*"} if wanted.if_match is None else {"if-match": wanted.if_match}
            headers |= {**condition, _TOKEN: token}
        try:
            if payload is None:
                self.transport.request("PUT", wanted.key, headers=headers, at_work=size)
                return self.info(wanted.key)
            answer = self.transport.request("PUT", wanted.key, headers=headers, body=body, payload=payload)
        except RefusalError as refusal:
            if refusal.again and token and self._is_ours(wanted.key, token):
                return self.info(wanted.key)
            raise self._write_error(refusal, wanted) from refusal
        return ObjectInfo(
            key=wanted.key,
            size=size,
            etag=etag_of(answer.headers),
            modified_at=modified_at(answer.headers.get("date")),
            content_type=wanted.content_type,
            sha256=full_sha256(answer.headers),
            metadata=wanted.metadata,
        )

    def _write_error(self, refusal: RefusalError, wanted: Wanted) -> StorageError | RefusalError:
        if refusal.status == _PRECONDITION_FAILED:
            return ObjectExistsError(wanted.key) if wanted.if_absent else refusal
        if refusal.reason == "NoSuchKey":
            return refusal  # a copy whose source is gone, or what was to be replaced, which the caller can name
        return to_error(refusal, wanted.key)

    def _is_ours(self, key: str, token: str) -> bool:
        """Return whether the object under a key was written with this token."""
        try:
            return self.head(key).headers.get(_TOKEN) == token
        except RefusalError:
            return False

    def declares_checksums(self) -> bool:
        """Return whether an upload in parts is begun with its algorithm, asking no more than the server's name for it.

        Finding out everything writes an object, which who may only write to some keys must not.
        """
        if self._features is not None:
            return self._features.declared_checksums
        if self._named_seaweed is None:
            self._named_seaweed = is_seaweed(self.transport)
        return not self._named_seaweed


def check_own_key(key: str) -> str:
    """Return the key, if it is one that callers may use.

    Raises:
        InvalidKeyError: It is none, or the store's own.
    """
    check_key(key)
    if key.startswith(RESERVED):
        raise InvalidKeyError(key, f"keys that start with {RESERVED!r} are the store's own")
    return key


def _part_xml(number: int, etag: str) -> str:
    etag, _, sha256 = etag.partition(" ")
    checksum = f"<ChecksumSHA256>{sha256}</ChecksumSHA256>" if sha256 else ""
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>{checksum}</Part>"
