"""Where the objects of an installation are, and who signs the way to them; knows no database.

What the edge needs of `mamkit_apps.wiring`: an edge loads no more than it serves with.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from mamkit.clock import Clock, utc_now
from mamkit.signing import Grant, UrlSigner
from mamkit.storage import Expected, LocalStore, SignedRequest, Zones
from mamkit_apps.settings import ServiceSettings

if TYPE_CHECKING:
    from mamkit.storage.s3 import S3Options, S3Store

__all__ = ["EdgeSigner", "open_buckets", "open_zones", "s3_options", "url_signer"]


class EdgeSigner:
    """Signs requests to the edge, for stores that have no server of their own.

    Args:
        edge_url: Base URL of the edge as clients reach it.
        signer: Makes the tokens.
        clock: Tells when a request expires.
    """

    def __init__(self, edge_url: str, signer: UrlSigner, *, clock: Clock = utc_now) -> None:
        self._edge_url = edge_url
        self._signer = signer
        self._clock = clock

    def sign(
        self,
        method: str,
        key: str,
        *,
        content_type: str | None = None,
        expected: Expected | None = None,
        expires_in: timedelta,
    ) -> SignedRequest:
        """Return a request to the edge for one object; the edge enforces type, size and SHA-256 of an upload."""
        conditions = {}
        if content_type is not None:
            conditions["type"] = content_type
        if expected is not None and expected.size is not None:
            conditions["length"] = str(expected.size)
        if expected is not None and expected.sha256 is not None:
            conditions["sha256"] = expected.sha256
        expires_at = self._clock() + expires_in
        methods = frozenset({"GET", "HEAD"}) if method == "GET" else frozenset({method})
        grant = Grant(scope=key, expires_at=expires_at, methods=methods, conditions=conditions)
        return SignedRequest(
            method=method,
            url=self._signer.url(self._edge_url, grant, key),
            headers={} if content_type is None else {"content-type": content_type},
            expires_at=expires_at,
        )


def url_signer(settings: ServiceSettings) -> UrlSigner:
    """Return the signer and verifier of the installation's URLs."""
    return UrlSigner(settings.ring("edge_signing_key"))


def open_zones(settings: ServiceSettings, *, edge_url: str | None = None) -> Zones:
    """Return the three zones: in buckets if they are set, else on local disk.

    Args:
        settings: Say where.
        edge_url: Base URL that signed requests to local disk point at; None for a service that signs none.

    Raises:
        StorageUnavailableError: There are no credentials for S3.
        MissingExtraError: Buckets are set, and `mamkit[s3]` is not installed.
    """
    retention = settings.masters_retention
    if settings.staging_bucket and settings.masters_bucket and settings.previews_bucket:
        staging, masters, previews = open_buckets(settings)
        return Zones(staging=staging, masters=masters, previews=previews, retention=retention)
    settings.make_data_dir()
    signer = None if edge_url is None else EdgeSigner(edge_url, url_signer(settings))
    store = LocalStore(settings.data_dir / "objects", signer=signer)  # the zones' keys differ in their start
    return Zones(staging=store, masters=store, previews=store, retention=retention)


def open_buckets(settings: ServiceSettings) -> "tuple[S3Store, S3Store, S3Store]":
    """Return the stores of the staging, masters and previews zones in their buckets, which are set.

    Raises:
        StorageUnavailableError: There are no credentials for S3.
        MissingExtraError: `mamkit[s3]` is not installed.
    """
    from mamkit.storage.s3 import S3Store  # noqa: PLC0415 - whoever keeps objects on local disk needs no boto3

    options = s3_options(settings)
    staging, masters, previews = (
        S3Store(name or "", options)
        for name in (settings.staging_bucket, settings.masters_bucket, settings.previews_bucket)
    )
    return staging, masters, previews


def s3_options(settings: ServiceSettings) -> "S3Options":
    """Return how the buckets are reached.

    Raises:
        MissingExtraError: `mamkit[s3]` is not installed.
    """
    from mamkit.storage.s3 import S3Options  # noqa: PLC0415 - as above

    return S3Options(
        endpoint=settings.s3_endpoint or settings.wasabi_endpoint,
        public_endpoint=settings.s3_public_endpoint,
        region=settings.s3_region,
        addressing=settings.s3_addressing,
    )
