"""What a server does of what S3 promises, found out on an object of the store's own."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote

from mamkit.storage.errors import ObjectExistsError, StorageError, StorageUnavailableError
from mamkit.storage.s3._http import Answer, Transport
from mamkit.storage.s3._options import S3Features
from mamkit.storage.s3._upload import Parts, PartSink, Wanted
from mamkit.storage.s3._wire import RefusalError, base64_digest, full_sha256

__all__ = ["RESERVED", "find_features", "is_seaweed"]

RESERVED = ".mamkit/"
"""What keys start with that a store uses for itself."""
_PROBE = f"{RESERVED}probe"
_PRECONDITION_FAILED = 412


def is_seaweed(transport: Transport) -> bool:
    """Return whether the server is SeaweedFS, by the name that it gives itself in any answer."""
    try:
        headers = _head(transport).headers
    except RefusalError as refusal:
        headers = refusal.headers
    return _named_seaweed(headers)


def find_features(transport: Transport, name: str, sink: PartSink) -> S3Features:
    """Try on an object of the store's own what the server does; where it does everything, nothing more is written.

    Args:
        transport: Sends.
        name: Of the bucket.
        sink: Uploads in parts to the same bucket; not asked for what the server can do.

    Raises:
        RefusalError: The server does not let it be tried.
    """
    data = b"what can this server do?"
    sha256 = hashlib.sha256(data).hexdigest()
    plain = {"x-amz-checksum-sha256": base64_digest(sha256)}
    source = {
        "x-amz-copy-source": quote(f"/{name}/{_PROBE}", safe="/-._~"),
        "x-amz-metadata-directive": "REPLACE",
    }

    def refused(headers: Mapping[str, str], body: bytes = b"") -> bool:
        payload = hashlib.sha256(body).hexdigest()
        try:
            transport.request("PUT", _PROBE, headers=headers, body=body, payload=payload)
        except RefusalError as refusal:
            if refusal.status == _PRECONDITION_FAILED:
                return True
            if refusal.status in {400, 501}:  # it knows the header, and that it cannot do it
                return False
            raise
        return False

    conditional = {**plain, "if-none-match": "*"}
    if not _is_there(transport):
        refused(plain, data)
    conditional_put = refused(conditional, data)
    found = _head(transport).headers
    return S3Features(
        checksums=full_sha256(found) == sha256,
        conditional_put=conditional_put,
        conditional_copy=refused({**source, "if-none-match": "*"}),
        conditional_complete=not _named_seaweed(found) and _refuses_to_complete(sink, data),
        copy_source_match=refused({**source, "x-amz-copy-source-if-match": f'"{"0" * 32}"'}),
        declared_checksums=not _named_seaweed(found),
        large_copy=_named_seaweed(found),
    )


def _head(transport: Transport) -> Answer:
    return transport.request("HEAD", _PROBE, headers={"x-amz-checksum-mode": "ENABLED"})


def _is_there(transport: Transport) -> bool:
    try:
        _head(transport)
    except RefusalError as refusal:
        if refusal.status == 404:
            return False
        raise
    return True


def _refuses_to_complete(sink: PartSink, data: bytes) -> bool:
    wanted = Wanted(key=_PROBE, content_type="text/plain", metadata={}, if_absent=False)
    parts = sink.begin_parts(wanted)
    etag = sink.put_part(parts, 1, data)
    conditional = Parts(
        wanted=Wanted(key=_PROBE, content_type="text/plain", metadata={}, if_absent=True),
        key=_PROBE,
        upload_id=parts.upload_id,
        token="",
    )
    try:
        sink.finish_parts(conditional, [etag])
    except ObjectExistsError:
        refused = True
    except StorageError:
        refused = False
    else:
        return False
    with suppress(StorageUnavailableError):
        sink.drop_parts(parts)
    return refused


def _named_seaweed(headers: Mapping[str, str]) -> bool:
    """Return whether this is a server with three ways of its own.

    It honours the condition of a completion, but not among several at once; it copies objects of any size; and of an
    upload that is begun with SHA-256 declared it hashes each part twice, tells none of the digests, and refuses a
    completion that does not repeat them.
    """
    return headers.get("server", "").startswith("SeaweedFS")
