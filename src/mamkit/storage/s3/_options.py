"""How a store reaches its bucket, and what the server behind it can do."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.s3._http import Bucket, Patience
from mamkit.storage.s3._sigv4 import Credentials

__all__ = [
    "S3Features",
    "S3Options",
    "bucket_at",
    "client_of",
    "credentials_of",
    "current_credentials",
    "endpoint_of",
    "region_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Features:
    """What a server does of what S3 promises; found out once a store, unless it is given."""

    checksums: bool
    """It verifies `x-amz-checksum-sha256` and keeps it."""
    conditional_put: bool
    """It honours `If-None-Match: *` of a write."""
    conditional_copy: bool
    """It honours `If-None-Match: *` of a copy."""
    conditional_complete: bool
    """It honours `If-None-Match: *` where an upload in parts is completed, also among several at once."""
    copy_source_match: bool
    """It honours `x-amz-copy-source-if-match`."""
    declared_checksums: bool = True
    """Its uploads in parts may be begun with SHA-256 declared, and it then tells those of the parts, which a completion
    repeats. Where not, each part carries its own all the same."""
    match_replace: Literal["quoted", "bare", "no"] | None = None
    """How it honours `If-Match` of a write: an ETag in quotes, as RFC 9110 has it, or a bare one, or none.

    None finds out when it first matters.
    """
    match_remove: bool | None = None
    """It honours `If-Match` of a deletion; None finds out when it first matters."""
    large_copy: bool = False
    """It copies an object of any size in one request, which S3 does up to 5 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """How to reach a bucket. Sizes are bytes."""

    endpoint: str | None = None
    """Base URL of the server; None is that of Amazon S3 in the region."""
    public_endpoint: str | None = None
    """Base URL in signed requests, where clients reach the server by another name; None is `endpoint`."""
    region: str | None = None
    """None is what the usual chain says (environment, profile), else `us-east-1`."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket stands in the path or in the host name; `auto`: the host at Amazon, the path elsewhere."""
    access_key: str | None = None
    """None: credentials come by the usual chain (environment, profile, container, instance)."""
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    part_size: int = 8 * 1024 * 1024
    """Of a part in transfers; grown where 10,000 parts would not do. `concurrency` + 1 of them are in memory."""
    concurrency: int = 4
    """Parts of one transfer on their way at once."""
    largest_request: int = 5 * 10**9
    """Bytes of one PUT or copy at most; more goes in parts. Amazon S3 API Reference, "CopyObject"."""
    connections: int = 32
    """Connections that are kept open: as many as there are callers at once, times `concurrency` for large objects."""
    patience: Patience = field(default_factory=Patience)
    """Time limits and attempts of a request."""
    encryption: Literal["AES256"] | None = None
    """Server-side encryption asked for with each write; None leaves it to the bucket's default."""
    ca_bundle: str | None = None
    """File of certificates that are trusted instead of the system's."""
    features: S3Features | None = None
    """What the server can do; None finds out when it first matters."""


def credentials_of(options: S3Options) -> Credentials | botocore.session.Session:
    """Return the given credentials, or the session that finds some.

    Raises:
        StorageUnavailableError: There are none.
    """
    if options.access_key is not None and options.secret_key is not None:
        return Credentials(options.access_key, options.secret_key, options.session_token)
    session = botocore.session.get_session()
    try:
        found = session.get_credentials()
    except BotoCoreError as error:
        raise StorageUnavailableError("credentials", str(error)) from error
    if found is None:
        raise StorageUnavailableError("credentials", "the usual chain (environment, profile, instance) has none for S3")
    return session


def current_credentials(session: botocore.session.Session) -> Credentials:
    """Return what a session has found, renewed if it is about to expire.

    Raises:
        StorageUnavailableError: It has nothing any more.
    """
    found = session.get_credentials()
    frozen = None if found is None else found.get_frozen_credentials()
    if frozen is None or frozen.access_key is None or frozen.secret_key is None:
        raise StorageUnavailableError("credentials", "those of the usual chain are not complete")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def region_of(options: S3Options) -> str:
    """Return the region: the given one, else that of the usual chain."""
    return options.region or botocore.session.get_session().get_config_variable("region") or "us-east-1"


def endpoint_of(options: S3Options) -> str:
    """Return the base URL of the server."""
    if options.endpoint is not None:
        return options.endpoint
    return str(client_of(options).meta.endpoint_url)


def bucket_at(endpoint: str, name: str, options: S3Options) -> Bucket:
    """Return where a bucket is."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/")
    # A dot in the name would not match the server's certificate for one label.
    virtual = options.addressing == "virtual" or (
        options.addressing == "auto" and options.endpoint is None and "." not in name
    )
    if virtual:
        return Bucket(f"{parts.scheme}://{name}.{parts.netloc}", base)
    return Bucket(f"{parts.scheme}://{parts.netloc}", f"{base}/{name}")


def client_of(options: S3Options):  # type: ignore[no-untyped-def]
    """Return boto3's client, for what is done to buckets rather than to objects."""
    patience = options.patience
    return boto3.session.Session().client(
        "s3",
        endpoint_url=options.endpoint,
        region_name=region_of(options),
        aws_access_key_id=options.access_key,
        aws_secret_access_key=options.secret_key,
        aws_session_token=options.session_token,
        verify=options.ca_bundle,
        config=Config(
            connect_timeout=patience.connect,
            read_timeout=patience.read,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            s3={"addressing_style": options.addressing},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
