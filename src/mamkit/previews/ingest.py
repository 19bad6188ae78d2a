"""From an upload to a master: presign into staging, record, promote.

The bytes go from the client to the store and from store to store; nothing here carries them.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from uuid import UUID

from mamkit import catalog as db
from mamkit.catalog import Asset, Catalog, Version
from mamkit.ids import uuid7
from mamkit.previews.errors import StagedUploadMissingError
from mamkit.previews.publisher import Publisher
from mamkit.storage import (
    Expected,
    ObjectNotFoundError,
    SignedRequest,
    SignsUploads,
    UnsupportedOperationError,
    Zones,
    clear_staged,
    master_key,
    preview_prefix,
    promote,
    sha256_of,
    staging_key,
)

__all__ = ["Ingest", "PresignedUpload"]

UPLOAD_LIFETIME = timedelta(hours=1)  # a slow upload must begin, not end, within it


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedUpload:
    """Where and how a client uploads, and the asset that the upload is to become."""

    asset_id: UUID
    staging_key: str
    request: SignedRequest


class Ingest:
    """Takes uploads in.

    Args:
        catalog: Assets and versions are recorded here.
        zones: Staging must be able to sign uploads.
        publisher: Starts the preview of each new version.
    """

    def __init__(self, catalog: Catalog, zones: Zones, publisher: Publisher) -> None:
        self._catalog = catalog
        self._zones = zones
        self._publisher = publisher

    def presign(
        self, user_id: UUID, filename: str, *, size: int, content_type: str, sha256: str | None = None
    ) -> PresignedUpload:
        """Return a request that uploads one file of exactly this size, type and (if given) SHA-256 into staging.

        Args:
            user_id: Whose upload it will be.
            filename: The client's name of the file; only its extension is kept.
            size: Bytes.
            content_type: Media type that the upload must name.
            sha256: Lower-case hexadecimal.

        Raises:
            UnsupportedOperationError: The staging store cannot sign uploads.
        """
        if not isinstance(self._zones.staging, SignsUploads):
            raise UnsupportedOperationError("the staging store cannot sign uploads; give it a signer")
        asset_id = uuid7()
        key = staging_key(user_id, asset_id, extension_of(filename))
        expected = Expected(size=size, sha256=sha256)
        request = self._zones.staging.sign_put(
            key, content_type=content_type, expected=expected, expires_in=UPLOAD_LIFETIME
        )
        return PresignedUpload(asset_id=asset_id, staging_key=key, request=request)

    async def record(
        self, user_id: UUID, asset_id: UUID, *, title: str, filename: str, workspace_id: UUID | None = None
    ) -> Asset:
        """Record the asset that an upload is to become. Safe to repeat: the asset recorded first is returned.

        The staging key is computed again rather than taken from the client, so nobody can record another user's upload.
        It belongs to a workspace, to the user's personal one if none is named.
        """
        key = staging_key(user_id, asset_id, extension_of(filename))
        async with self._catalog.begin() as session:
            return await db.create_asset(
                session, id=asset_id, user_id=user_id, workspace_id=workspace_id, title=title, staging_key=key
            )

    async def promote(self, asset: Asset, *, sha256: str | None = None, staged: str | None = None) -> Version:
        """Make the staged upload of an asset its next master, record the version, and start its preview.

        Safe to repeat and to run twice at once: the same upload is the same version. The staged bytes are removed only
        after the version is committed.

        Args:
            asset: The recorded asset.
            sha256: What the client says the bytes are; None takes what the store finds.
            staged: Where the bytes wait, in the staging zone; None: under the asset's own key.

        Raises:
            StagedUploadMissingError: Nothing lies under the staging key, and no version came of it.
            UploadRejectedError: The staged bytes have another SHA-256.
            MasterConflictError: Other bytes already stand under the version's key.
        """
        key = staged or asset.staging_key
        try:
            info = await asyncio.to_thread(self._zones.staging.head, key)
        except ObjectNotFoundError as error:
            async with self._catalog.read() as session:
                if sha256 is None:
                    version = await db.latest_version(session, asset.id)
                else:
                    version = await db.version_of_sha256(session, asset.id, sha256)
            if version is None:
                raise StagedUploadMissingError(key) from error
            return version  # promoted before, and staging cleared since
        digest = await asyncio.to_thread(sha256_of, self._zones.staging, key) if sha256 is None else sha256
        async with self._catalog.read() as session:
            version = await db.version_of_sha256(session, asset.id, digest)
            number = await db.next_version_number(session, asset.id)
        if version is None:
            target = master_key(asset.id, number, PurePosixPath(key).suffix.removeprefix("."))
            record = await asyncio.to_thread(
                promote, self._zones, staged=key, master=target, size=info.size, sha256=digest
            )
            version_id = uuid7()
            async with self._catalog.begin() as session:
                version = await db.add_version(
                    session,
                    id=version_id,
                    asset_id=asset.id,
                    number=number,
                    master_key=record.key,
                    preview_prefix=preview_prefix(asset.id, version_id),
                    size=record.size,
                    sha256=record.sha256,
                )
                await db.create_preview(session, version.id)
        await self._publisher.start(version.id)
        await asyncio.to_thread(clear_staged, self._zones, key)
        return version


def extension_of(filename: str) -> str:
    """Return the extension of a client's file name, lower case, or `bin` where it has none that is safe in a key."""
    extension = PurePosixPath(filename).suffix.removeprefix(".").lower()
    return extension if re.fullmatch(r"[a-z0-9]{1,8}", extension) else "bin"
