"""Bringing in what is at a URL: part by part into staging, so that a break costs one part."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from mamkit.auth import Vault
from mamkit.catalog.import_models import Import
from mamkit.previews.ingest import extension_of
from mamkit.storage import Expected, ObjectNotFoundError, ObjectStore, PartsPlan, Upload, WritesParts, sha256_of
from mamkit_apps.api.imports.errors import SourceChangedError, SourceUnavailableError
from mamkit_apps.api.imports.fetching import Fetched, Fetcher
from mamkit_apps.api.imports.holding import Hold
from mamkit_apps.api.imports.sniffing import HEAD, check_head
from mamkit_apps.api.imports.transfer import PART_SIZE, Transfer, in_thread, remove, staged_key, there
from mamkit_apps.sealed import IMPORTS

__all__ = ["UrlBringer"]


class UrlBringer:
    """Brings URLs.

    Args:
        fetcher: Reads them.
        staging: Where the bytes go.
        vault: Opens them.
        part_size: Bytes.
    """

    def __init__(self, fetcher: Fetcher, staging: ObjectStore, vault: Vault, *, part_size: int = PART_SIZE) -> None:
        self._fetcher = fetcher
        self._staging = staging
        self._vault = vault
        self._part_size = part_size

    async def bring(self, row: Import, hold: Hold, *, within: timedelta) -> Transfer:
        """Put what is at the URL of an import into staging, from where an earlier try ended; return where it is.

        Raises:
            MamkitError: As for `Fetcher.open`, or of the store.
            SealedValueError: The key that the URL was sealed with is gone.
        """
        if hold.transfer is not None and await in_thread(_is_joined, self._staging, hold.transfer):
            return hold.transfer.whole(await in_thread(sha256_of, self._staging, hold.transfer.key))
        url = self._vault.open(row.sealed or "", where=IMPORTS.where(row.id)).decode()
        start, validator = await self._kept(hold)
        if hold.transfer is not None and start == hold.size:
            return await self._join(hold.transfer)
        try:
            async with self._fetcher.open(url, start=start, validator=validator, within=within) as found:
                transfer = await self._begun(row, hold, found)
                async with aclosing(found.pieces) as pieces:
                    if transfer.plan is None:
                        return await self._in_one(hold, transfer, pieces)
                    await self._in_parts(hold, transfer.plan, pieces, found.start)
                return await self._join(transfer)
        except SourceChangedError:
            await self._forget(hold)  # the next try begins anew
            raise

    async def _kept(self, hold: Hold) -> tuple[int, str]:
        """Return how many bytes are there from an earlier try, and what they are of."""
        transfer = hold.transfer
        if transfer is None or transfer.plan is None:
            return 0, ""
        count = await in_thread(there, self._staging, transfer)
        received = min(count * transfer.plan.part_size, transfer.plan.size)
        if received < transfer.plan.size and not transfer.validator:
            return 0, ""
        hold.received = received
        return (received, transfer.validator) if received else (0, "")

    async def _begun(self, row: Import, hold: Hold, found: Fetched) -> Transfer:
        """Return the transfer that an answer goes on with, or a new one in place of what there was."""
        transfer = hold.transfer
        if found.start and transfer is not None and transfer.plan is not None:
            if found.size != transfer.plan.size:
                raise SourceChangedError
            hold.lasting = True
            return transfer
        await self._forget(hold)
        key = staged_key(row.user_id, row.asset_id, row.id, extension_of(found.filename))
        transfer = Transfer(
            key=key, content_type=found.content_type, filename=found.filename, validator=found.validator
        )
        hold.size = found.size
        if found.size and isinstance(self._staging, WritesParts):
            expected = Expected(size=found.size)
            plan = await in_thread(
                self._staging.begin_parts, key, content_type=found.content_type, expected=expected,
                part_size=self._part_size,
            )  # fmt: skip
            transfer = Transfer(
                key=key, content_type=found.content_type, filename=found.filename, validator=found.validator, plan=plan
            )
        hold.lasting = transfer.plan is not None and bool(transfer.validator)
        await hold.keep(transfer)
        return transfer

    async def _forget(self, hold: Hold) -> None:
        """Remove what an earlier try has left; nothing is noted, since what comes next is."""
        if hold.transfer is not None:
            await in_thread(remove, self._staging, hold.transfer)
        hold.received = 0
        hold.lasting = False

    async def _in_parts(self, hold: Hold, plan: PartsPlan, pieces: AsyncIterator[bytes], start: int) -> None:
        """Write parts, each while the next one comes."""
        assert isinstance(self._staging, WritesParts)  # noqa: S101 - there is a plan
        writing: asyncio.Task[None] | None = None
        buffer, number = bytearray(), start // plan.part_size + 1
        unlooked = start == 0
        try:
            async for piece in pieces:
                buffer += piece
                if unlooked and (len(buffer) >= HEAD or len(buffer) >= plan.size):
                    check_head(bytes(buffer[:HEAD]))
                    unlooked = False
                while number <= plan.count and len(buffer) >= plan.size_of(number):
                    part = bytes(buffer[: plan.size_of(number)])
                    del buffer[: plan.size_of(number)]
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._write(hold, plan, number, part))
                    number += 1
            if writing is not None:
                await writing
        finally:
            if writing is not None:
                await asyncio.wait({writing})
                if not writing.cancelled():
                    writing.exception()
        if number <= plan.count or buffer:
            raise SourceUnavailableError("it ended early" if number <= plan.count else "it is longer than was said")

    async def _write(self, hold: Hold, plan: PartsPlan, number: int, part: bytes) -> None:
        assert isinstance(self._staging, WritesParts)  # noqa: S101 - there is a plan
        await in_thread(self._staging.put_part, plan, number, part)
        hold.received = min(number * plan.part_size, plan.size)

    async def _in_one(self, hold: Hold, transfer: Transfer, pieces: AsyncIterator[bytes]) -> Transfer:
        """Write an object of whose size nothing is known; after a break it begins anew."""
        head, digest = b"", hashlib.sha256()
        with self._staging.upload(transfer.key, content_type=transfer.content_type) as upload:
            block = bytearray()
            async for piece in pieces:
                if len(head) < HEAD:
                    head += piece[:HEAD]
                    if len(head) >= HEAD:
                        check_head(head[:HEAD])
                block += piece
                if len(block) >= 1 << 20:
                    await in_thread(_write_block, upload, digest, bytes(block))
                    hold.received += len(block)
                    block.clear()
            check_head(head[:HEAD])
            await in_thread(_write_block, upload, digest, bytes(block))
            hold.received += len(block)
            await in_thread(upload.commit)
        return transfer.whole(digest.hexdigest())

    async def _join(self, transfer: Transfer) -> Transfer:
        """Make the object of its parts."""
        assert isinstance(self._staging, WritesParts)  # noqa: S101 - there is a plan
        assert transfer.plan is not None  # noqa: S101
        await in_thread(self._staging.complete_parts, transfer.plan)
        return transfer.whole(await in_thread(sha256_of, self._staging, transfer.key))


def _write_block(upload: Upload, digest: "hashlib._Hash", block: bytes) -> None:
    digest.update(block)
    upload.write(block)


def _is_joined(staging: ObjectStore, transfer: Transfer) -> bool:
    """Return whether the parts were made an object before that could be noted."""
    if transfer.plan is None:
        return False
    try:
        return staging.head(transfer.key).size == transfer.plan.size
    except ObjectNotFoundError:
        return False
