"""A store in a bucket of Amazon S3, or of a server that speaks its protocol."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import BinaryIO, Self

from mamkit.clock import Clock, utc_now
from mamkit.storage._body import FileBody
from mamkit.storage._facts import check_facts
from mamkit.storage._upload import carry, check_match, feed
from mamkit.storage.errors import (
    ObjectChangedError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from mamkit.storage.keys import check_prefix
from mamkit.storage.models import (
    ByteRange,
    Expected,
    ExpiryRule,
    ObjectInfo,
    OriginRule,
    PartsPlan,
    SignedForm,
    SignedRequest,
    UnfinishedUpload,
)
from mamkit.storage.protocols import ObjectReader, Upload
from mamkit.storage.s3._body import S3Body
from mamkit.storage.s3._client import S3Client, check_own_key
from mamkit.storage.s3._copies import S3Copies
from mamkit.storage.s3._http import Transport
from mamkit.storage.s3._leftovers import S3Leftovers
from mamkit.storage.s3._list import list_objects
from mamkit.storage.s3._locks import S3Locks
from mamkit.storage.s3._matching import S3Matching
from mamkit.storage.s3._options import (
    S3Features,
    S3Options,
    bucket_at,
    credentials_of,
    current_credentials,
    endpoint_of,
    region_of,
)
from mamkit.storage.s3._reading import S3Reading
from mamkit.storage.s3._rules import S3Rules
from mamkit.storage.s3._signing import S3Signing
from mamkit.storage.s3._sigv4 import Credentials, Signer
from mamkit.storage.s3._upload import S3Upload, Wanted
from mamkit.storage.s3._wire import RefusalError, refusals, to_error

__all__ = ["S3Store"]

_COPY_ATTEMPTS = 3  # at a source that is replaced again and again


class S3Store:
    """An `ObjectStore` in a bucket, for any number of threads; the bucket must be there.

    The bytes go past boto3 over a client of our own (`docs/decisions/0009` says why); credentials, regions and
    endpoints are boto3's. Keys that start with `.mamkit/` are the store's own. Where a server does less than S3, what
    cannot be done safely in one way is done in another, or raises `UnsupportedOperationError`.

    `ObjectInfo.sha256` is known of what was written in one request, where the server verifies and keeps checksums.

    Args:
        bucket: Its name.
        options: How to reach it.
        clock: Tells the time of signatures.

    Raises:
        StorageUnavailableError: There are no credentials.
    """

    def __init__(self, bucket: str, options: S3Options | None = None, *, clock: Clock = utc_now) -> None:
        options = options or S3Options()
        self._options = options
        self._name = bucket
        self._clock = clock
        self._endpoint = endpoint_of(options)
        found = credentials_of(options)
        if isinstance(found, Credentials):
            self._identity = found.access_key
            signer = Signer(lambda: found, region_of(options))
        else:
            self._identity = ""
            signer = Signer(partial(current_credentials, found), region_of(options))
        transport = Transport(
            bucket_at(self._endpoint, bucket, options),
            signer,
            clock=clock,
            patience=options.patience,
            connections=options.connections,
            ca_bundle=options.ca_bundle,
        )
        self._client = S3Client(transport, bucket, options)
        self._signing = S3Signing(
            self._client,
            signer,
            bucket_at(options.public_endpoint or self._endpoint, bucket, options),
            clock=clock,
            part_size=options.part_size,
            check=check_own_key,
        )
        self._reading = S3Reading(self._client, options.patience)
        self._pool = ThreadPoolExecutor(options.connections, thread_name_prefix="mamkit-s3")
        self._copies = S3Copies(self._client, self._pool)
        self._locks = S3Locks(self._client, clock=clock)
        self._matching = S3Matching(self._client, options.features)
        self._rules = S3Rules(bucket, options)
        self._leftovers = S3Leftovers(self._client, clock=clock)

    def __repr__(self) -> str:
        return f"S3Store({self._name!r}, endpoint={self._endpoint!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections and end idle threads."""
        self._pool.shutdown(wait=False)
        self._client.transport.close()

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self._name

    @property
    def features(self) -> S3Features:
        """What the server does of what S3 promises; found out on a small object of the store's own.

        Raises:
            StorageUnavailableError: It cannot be found out.
        """
        return self._client.features

    def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        return self._client.info(check_own_key(key))

    def get(self, key: str, byte_range: ByteRange | None = None) -> S3Body | FileBody:
        """Open an object, or a run of its bytes; where the connection breaks, reading goes on over another."""
        return self._reading.open(check_own_key(key), byte_range)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`, without their facts."""
        return list_objects(self._client, check_prefix(prefix), after)

    def upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> AbstractContextManager[Upload]:
        """Begin to write an object block by block; more than a part is sent in parallel parts.

        Raises:
            UnsupportedOperationError: `if_absent` is asked of a server that would ignore it.
            ObjectRetainedError: The object that would be replaced is retained.
        """
        wanted = Wanted(
            key=check_own_key(key),
            content_type=content_type,
            metadata=check_facts(content_type, metadata),
            if_absent=if_absent,
        )
        self._guard(wanted)
        return self._upload(wanted, expected)

    def put(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write a whole object."""
        upload = self.upload(key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent)
        return feed(upload, data)

    def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Copy an object of this store, or of another; within one server the server copies.

        Raises:
            UnsupportedOperationError: The server cannot copy this safely: above 5 GB, of what it does in several steps.
            ObjectRetainedError: The object that would be replaced is retained.
        """
        check_own_key(key)
        origin = origin or self
        if not isinstance(origin, S3Store) or not self._shares_server(origin):
            return carry(origin, source, self, key, if_match=if_match, if_absent=if_absent)
        check_own_key(source)
        for attempt in range(1, _COPY_ATTEMPTS + 1):
            info = origin.head(source)
            check_match(info, if_match)
            wanted = Wanted(key=key, content_type=info.content_type, metadata=info.metadata, if_absent=if_absent)
            self._guard(wanted)
            try:
                return self._copies.copy(origin, origin._name, info, wanted)
            except RefusalError as refusal:
                if refusal.status not in {404, 412}:
                    raise to_error(refusal, key) from refusal
                now = origin.head(source)  # it is gone, or it is another
                if if_match is not None or attempt == _COPY_ATTEMPTS:
                    raise ObjectChangedError(source, expected=info.etag, actual=now.etag) from refusal
        raise StorageUnavailableError(source, "it is replaced again and again")

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        self._locks.check_free(check_own_key(key))
        with refusals(key):
            self._client.delete(key)

    def replace(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        if_match: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
    ) -> ObjectInfo:
        """Write a whole object in the place of just the one with this ETag.

        More than a part is gathered under a key of the store's own, and then written by a single request, whose bytes
        go through this process again: `S3Options.largest_request` at most.

        Raises:
            UnsupportedOperationError: The server would ignore the condition, or the object is too large for it.
        """
        check_own_key(key)
        facts = check_facts(content_type, metadata)
        self._locks.check_free(key)
        condition = self._matching.condition(key, if_match)
        wanted = Wanted(key=key, content_type=content_type, metadata=facts, if_absent=False, if_match=condition)
        with self._matching.told(key, if_match):
            return feed(self._upload(wanted, expected), data)

    def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag.

        Raises:
            UnsupportedOperationError: The server would ignore the condition.
        """
        self._locks.check_free(check_own_key(key))
        self._matching.remove(key, if_match)

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`, by object lock in governance mode."""
        self._locks.retain(check_own_key(key), until)

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not."""
        return self._locks.retained_until(check_own_key(key))

    def unfinished(self, *, older_than: timedelta) -> Iterator[UnfinishedUpload]:
        """Yield the uploads in parts that nobody has completed, whoever began them."""
        return self._leftovers.find(older_than=older_than)

    def remove_unfinished(self, *, older_than: timedelta) -> tuple[UnfinishedUpload, ...]:
        """Remove the uploads in parts that nobody has completed, whoever began them, and return them."""
        return self._leftovers.remove(older_than=older_than)

    def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
        """Return a request that reads the object until it expires; 7 days at most."""
        return self._signing.sign_get(key, expires_in=expires_in)

    def sign_put(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedRequest:
        """Return a request that writes the object, with this type, size and SHA-256 and no other."""
        return self._signing.sign_put(key, content_type=content_type, expected=expected, expires_in=expires_in)

    def sign_form(self, key: str, *, content_type: str, expected: Expected, expires_in: timedelta) -> SignedForm:
        """Return a form that writes the object, with this type and size and no other."""
        return self._signing.sign_form(key, content_type=content_type, expected=expected, expires_in=expires_in)

    def begin_parts(
        self,
        key: str,
        *,
        content_type: str,
        expected: Expected,
        part_size: int | None = None,
        checksums: bool = False,
    ) -> PartsPlan:
        """Begin an upload in parts by somebody without credentials."""
        return self._signing.begin_parts(
            key, content_type=content_type, expected=expected, part_size=part_size, checksums=checksums
        )

    def sign_part(
        self, plan: PartsPlan, number: int, *, sha256: str | None = None, expires_in: timedelta
    ) -> SignedRequest:
        """Return a request that writes one part."""
        return self._signing.sign_part(plan, number, sha256=sha256, expires_in=expires_in)

    def put_part(self, plan: PartsPlan, number: int, data: bytes | bytearray) -> None:
        """Write one part."""
        self._signing.put_part(plan, number, data)

    def parts_there(self, plan: PartsPlan) -> frozenset[int]:
        """Return the numbers of the parts that have arrived whole."""
        return self._signing.parts_there(plan)

    def complete_parts(self, plan: PartsPlan) -> ObjectInfo:
        """Make the object of its parts."""
        return self._signing.complete_parts(plan)

    def abort_parts(self, plan: PartsPlan) -> None:
        """Forget the upload and its parts."""
        self._signing.abort_parts(plan)

    def expiry_rules(self) -> tuple[ExpiryRule, ...]:
        """Return the lifecycle rules of the bucket, as far as an `ExpiryRule` can say them."""
        return self._rules.expiry_rules()

    def set_expiry_rule(self, rule: ExpiryRule) -> None:
        """Add a lifecycle rule to the bucket, in place of the one of its name."""
        self._rules.set_expiry_rule(rule)

    def encryption(self) -> str | None:
        """Return by what the bucket encrypts new objects."""
        return self._rules.encryption()

    def set_encryption(self, algorithm: str) -> None:
        """Let the bucket encrypt new objects by default."""
        self._rules.set_encryption(algorithm)

    def origin_rules(self) -> tuple[OriginRule, ...]:
        """Return the CORS rules of the bucket."""
        return self._rules.origin_rules()

    def set_origin_rules(self, rules: Sequence[OriginRule]) -> None:
        """Put these CORS rules in place of all others of the bucket."""
        self._rules.set_origin_rules(rules)

    def _upload(self, wanted: Wanted, expected: Expected | None) -> S3Upload:
        options = self._options
        return S3Upload(
            wanted, expected, self._client, self._pool, concurrency=options.concurrency, part_size=options.part_size
        )

    def _shares_server(self, other: "S3Store") -> bool:
        return self is other or (self._endpoint == other._endpoint and self._identity == other._identity)

    def _guard(self, wanted: Wanted) -> None:
        """Refuse to replace what is retained, and to trust a server with a condition that it ignores."""
        if wanted.if_absent:
            if not self.features.conditional_put:
                raise UnsupportedOperationError(f"{self!r} ignores conditions of writes, so `if_absent` is not safe")
        else:
            self._locks.check_free(wanted.key)
