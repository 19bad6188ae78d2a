"""Working through imports: bring the bytes into staging, make them a version, and tell what became of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Protocol

from mamkit import catalog as db
from mamkit.auth import PermissionDeniedError, SealedValueError
from mamkit.catalog import Asset, Catalog, CatalogUnavailableError, NotFoundError, Version
from mamkit.catalog.import_models import Import, ImportKind
from mamkit.catalog.import_work import (
    MAX_ATTEMPTS,
    begin_storing,
    claim_import,
    clear_import,
    fail_import,
    finish_import,
    hand_back_import,
    imports_are_due,
)
from mamkit.catalog.imports import OVER
from mamkit.clock import Clock, utc_now
from mamkit.errors import MamkitError
from mamkit.jobs import QueueUnavailableError, backoff
from mamkit.previews import Ingest
from mamkit.storage import StorageUnavailableError, Zones
from mamkit_apps.api.imports.errors import (
    ImportBrokenError,
    ImportCrashedError,
    ImportTimeError,
    SourceChangedError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from mamkit_apps.api.imports.holding import LEASE, Hold, ImportLostError
from mamkit_apps.api.imports.transfer import Transfer, in_thread, remove
from mamkit_apps.api.slots import keep_working
from mamkit_apps.guard import DestinationRefusedError

__all__ = ["Bringer", "Importer"]

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds; what this process adds is seen sooner
LOOK_AGAIN = 0.1  # seconds at least, however much this process tells of
FIRST_PAUSE = timedelta(seconds=5)  # after the first failure
LONGEST_PAUSE = timedelta(minutes=10)
OUTAGE = timedelta(seconds=30)  # until an outage of ours is looked at again; it counts for nothing
TWIN = timedelta(seconds=1)  # until it is looked at again what became of the same bytes

# Trying again would be no use.
FINAL = (
    SourceRefusedError,
    SourceTooLargeError,
    ImportTimeError,
    ImportCrashedError,
    PermissionDeniedError,
    NotFoundError,
    SealedValueError,
    db.InvalidTextError,
)
OUTAGES = (StorageUnavailableError, CatalogUnavailableError, QueueUnavailableError)


class Bringer(Protocol):
    """Brings the bytes of one kind of import."""

    async def bring(self, row: Import, hold: Hold, *, within: timedelta) -> Transfer:
        """Put the bytes into staging, and return where they are and their SHA-256.

        Args:
            row: The import.
            hold: Is told how far it is, and remembers what is needed to go on.
            within: For how long it may take.

        Raises:
            MamkitError: That cannot be done, now or ever.
        """


class Importer:
    """Works on imports that are due.

    Args:
        catalog: Where they are.
        zones: Where the bytes go.
        ingest: Makes them versions.
        bringers: Bring the bytes; other kinds are left to other processes.
        may: Returns the asset that an import adds to, None if it makes one, or raises if its user may not any more.
        slots: Imports at once.
        hours: How long one may take, waiting for a source included.
        clock: Tells the time.
    """

    def __init__(
        self,
        catalog: Catalog,
        zones: Zones,
        ingest: Ingest,
        bringers: Mapping[ImportKind, Bringer],
        may: Callable[[Import], Awaitable[Asset | None]],
        *,
        slots: int,
        hours: int,
        clock: Clock = utc_now,
    ) -> None:
        self._catalog = catalog
        self._zones = zones
        self._ingest = ingest
        self._bringers = bringers
        self._may = may
        self._slots = slots
        self._hours = hours
        self._clock = clock
        self._kick = asyncio.Event()
        catalog.when_told(self._kick.set)

    async def run(self) -> None:
        """Work, for as long as the application runs; what is under way then is handed back."""
        await keep_working(self._slots, self._claim, self.work, self._rest)

    async def work_off(self) -> int:
        """Work on all that is due now, one after the other, and return how many there were."""
        count = 0
        while claimed := await self._claim():
            await self.work(claimed)
            count += 1
        return count

    async def _rest(self, full: bool) -> None:
        await asyncio.sleep(LOOK_AGAIN)
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await (asyncio.sleep(LOOK_EVERY) if full else self._kick.wait())
        except TimeoutError:
            return

    async def _claim(self) -> Import | None:
        self._kick.clear()
        try:
            async with self._catalog.read() as session:
                if not await imports_are_due(session, self._bringers.keys()):
                    return None
            async with self._catalog.begin() as session:
                return await claim_import(session, self._bringers.keys(), lease=LEASE)
        except CatalogUnavailableError:
            return None  # the hub says so in the log
        except Exception:  # the next look may do better, and the API must go on serving
            log.exception("looking for imports failed")
            return None

    async def work(self, claimed: Import) -> None:
        """Work on an import until it is over, handed back or lost; nothing is raised but cancellation."""
        hold = Hold(self._catalog, claimed)
        try:
            if claimed.state in OVER or await self._work(claimed, hold):
                await self._clear(claimed, hold)
        except asyncio.CancelledError:  # the process ends
            await asyncio.shield(self._hand_back(claimed, timedelta(0)))
            raise
        except ImportLostError:
            await self._clear_if_cancelled(claimed, hold)
        except OUTAGES as error:
            log.warning("import %s waits: %s", claimed.id, error)
            await self._hand_back(claimed, OUTAGE)
        except _WaitError as wait:
            await self._hand_back(claimed, wait.pause)
        except Exception:  # its lease ends, and another try may do better
            log.exception("import %s failed", claimed.id)

    async def _work(self, claimed: Import, hold: Hold) -> bool:
        """Bring and store, or note why that failed; return whether the import is over."""
        try:
            version, duplicate = await hold.run(self._version(claimed, hold))
        except (ImportLostError, _WaitError, *OUTAGES):
            raise
        except MamkitError as error:
            return await self._failed(claimed, hold, error)
        except Exception:
            log.exception("import %s failed", claimed.id)
            return await self._failed(claimed, hold, ImportBrokenError())
        async with self._catalog.begin() as session:
            if not await finish_import(session, claimed, version, duplicate=duplicate):
                raise ImportLostError
            await db.record(
                session, actor_id=claimed.user_id, action="import.done", subject=f"asset:{version.asset_id}",
                detail={"import": str(claimed.id), "version": str(version.id), "source": claimed.source},
            )  # fmt: skip
        return True

    async def _version(self, claimed: Import, hold: Hold) -> tuple[Version, bool]:
        """Return what an import becomes, and whether that was there before."""
        within = (claimed.started_at or self._clock()) + timedelta(hours=self._hours) - self._clock()
        if claimed.attempts >= MAX_ATTEMPTS:
            raise ImportCrashedError
        if within <= timedelta(0):
            raise ImportTimeError(self._hours)
        await self._may(claimed)
        transfer = hold.transfer
        if transfer is None or not transfer.sha256:
            transfer = await self._bringers[claimed.kind].bring(claimed, hold, within=within)
            await hold.keep(transfer)
        asset = await self._may(claimed)  # it may have taken hours
        async with self._catalog.begin() as session:
            decision = await begin_storing(session, claimed, transfer.sha256)
        if isinstance(decision, Version):
            return decision, True
        if decision == "wait":
            raise _WaitError(TWIN)
        if decision == "lost":
            raise ImportLostError
        asset = asset or await self._record(claimed, transfer)
        return await self._ingest.promote(asset, sha256=transfer.sha256, staged=transfer.key), False

    async def _record(self, claimed: Import, transfer: Transfer) -> Asset:
        filename = transfer.filename or claimed.filename
        return await self._ingest.record(
            claimed.user_id, claimed.asset_id, title=claimed.title or filename, filename=filename,
            workspace_id=claimed.workspace_id,
        )  # fmt: skip

    async def _failed(self, claimed: Import, hold: Hold, error: MamkitError) -> bool:
        """Note a failure, and let the import be tried again where that may be of use; return whether it is over."""
        final = isinstance(error, FINAL)
        if isinstance(error, DestinationRefusedError):
            # Names that lead nowhere look the same. One that was good before may be so again.
            final = not hold.received
        if isinstance(error, SourceChangedError):
            final = claimed.kind != "url"
        pause = backoff(claimed.attempts + 1, base=FIRST_PAUSE, cap=LONGEST_PAUSE)
        if isinstance(error, SourceUnavailableError):
            pause = max(pause, timedelta(seconds=error.retry_after))
        async with self._catalog.begin() as session:
            outcome = await fail_import(
                session, claimed, code=error.code, reason=str(error), again_in=None if final else pause
            )
        if outcome == "lost":
            raise ImportLostError
        log.info("import %s: %s (%s)", claimed.id, error, "to be tried again" if outcome == "again" else "given up")
        return outcome == "over"

    async def _clear(self, claimed: Import, hold: Hold) -> None:
        """Remove what an import that is over has left in staging."""
        if hold.transfer is not None:
            await in_thread(remove, self._zones.staging, hold.transfer)
            async with self._catalog.begin() as session:
                await clear_import(session, claimed)

    async def _clear_if_cancelled(self, claimed: Import, hold: Hold) -> None:
        """Do so if it is over, and was not taken by another process: then it is theirs."""
        async with self._catalog.read() as session:
            row = await session.get(Import, claimed.id)
        if row is not None and row.lease == claimed.lease and row.state in OVER:
            await self._clear(claimed, hold)

    async def _hand_back(self, claimed: Import, pause: timedelta) -> None:
        try:
            async with self._catalog.begin() as session:
                await hand_back_import(session, claimed, again_in=pause)
        except CatalogUnavailableError:
            log.warning("import %s waits for the end of its lease", claimed.id)


class _WaitError(Exception):
    """The import is to be looked at again in a while, unharmed."""

    def __init__(self, pause: timedelta) -> None:
        super().__init__(pause)
        self.pause = pause
