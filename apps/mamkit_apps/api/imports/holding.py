"""Holding an import: its lease is renewed, and how far it is gets told, while something works on it."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from mamkit.catalog import Catalog, CatalogUnavailableError
from mamkit.catalog.import_models import Import
from mamkit.catalog.import_work import renew_import
from mamkit.errors import MamkitError
from mamkit_apps.api.imports.transfer import Transfer

__all__ = ["LEASE", "Hold", "ImportLostError"]

LEASE = timedelta(seconds=30)  # what a killed process costs; renewed three times in it
RENEW = 10.0  # seconds
BEAT = 1.0  # seconds between two looks whether there is news

Result = TypeVar("Result")


class ImportLostError(MamkitError):
    """An import was cancelled, or has gone to another process: whoever works on it stops, and changes nothing."""

    code = "apps.import_lost"

    def __init__(self) -> None:
        super().__init__("the import was cancelled, or has gone to another process")


class Hold:
    """The lease of one import.

    Args:
        catalog: Where the import is.
        claimed: As it was claimed.
    """

    def __init__(self, catalog: Catalog, claimed: Import) -> None:
        self._catalog = catalog
        self._claimed = claimed
        self.transfer = Transfer.read(claimed.transfer)
        """What is kept of the bytes; to be changed by `keep`."""
        self.received = claimed.received
        """Bytes; told to others within a second."""
        self.size = claimed.size
        """Bytes of the whole, where that is known."""
        self.lasting = False
        """Whether what was received need not be fetched again after a break."""
        self._said: tuple[int, int | None] = (self.received, self.size)
        self._asked = 0.0

    async def keep(self, transfer: Transfer) -> None:
        """Remember what is needed to go on, before anything is done that would need it.

        Raises:
            ImportLostError: As for `run`.
            CatalogUnavailableError: The database does not answer.
        """
        self.transfer = transfer
        await self._renew()

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what the work returns, and hold the lease meanwhile.

        Raises:
            ImportLostError: The import was cancelled or lost; the work was cancelled, and has ended.
        """
        loop = asyncio.get_running_loop()
        self._asked = loop.time()
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=BEAT)
                if not task.done() and (self._said != (self.received, self.size) or loop.time() - self._asked > RENEW):
                    await self._beat()
            return task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # of work that was lost nobody else asks

    async def _beat(self) -> None:
        try:
            await self._renew()
        except CatalogUnavailableError:
            # The lease holds for a while yet. Beyond that others may have it, and what is staged is theirs.
            if asyncio.get_running_loop().time() - self._asked > LEASE.total_seconds():
                raise

    async def _renew(self) -> None:
        asked = asyncio.get_running_loop().time()  # the lease is counted from some moment after this one
        said = (self.received, self.size)
        document = None if self.transfer is None else self.transfer.document()
        async with self._catalog.begin() as session:
            held = await renew_import(
                session, self._claimed, by=LEASE, received=said[0], size=said[1], transfer=document,
                lasting=self.lasting,
            )  # fmt: skip
        if not held:
            raise ImportLostError
        self._asked, self._said = asked, said
