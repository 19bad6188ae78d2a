"""The bytes of an import on their way into staging, and what is remembered of them between processes."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from threading import Event
from typing import Any, ParamSpec, Self, TypeVar
from uuid import UUID

from mamkit.storage import ObjectInfo, ObjectNotFoundError, ObjectStore, PartsPlan, WritesParts, sha256_of

__all__ = ["PART_SIZE", "Transfer", "digest_of_staged", "in_thread", "remove", "staged_key", "stoppable", "there"]

PART_SIZE = 8 << 20  # bytes; what a break costs at most. Files of more than 80 GB get larger ones: 10,000 parts at most

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What an import needs to go on in another process, or to remove what it left."""

    key: str
    """Where the bytes wait in staging."""
    content_type: str = "application/octet-stream"
    filename: str = ""
    validator: str = ""
    """Of the source, for `If-Range`."""
    plan: PartsPlan | None = None
    """Of the parts; None where they cannot be kept apart."""
    sha256: str = ""
    """Of the whole, once all of it is under the key."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any] | None) -> Self | None:
        """Return what `document` gave; None for None."""
        if document is None:
            return None
        plan = document["plan"]
        return cls(**(document | {"plan": None if plan is None else PartsPlan(**plan)}))

    def whole(self, sha256: str) -> Self:
        """Return the same with all of the bytes under the key."""
        return replace(self, plan=None, sha256=sha256)


def staged_key(user_id: UUID, asset_id: UUID, import_id: UUID, extension: str) -> str:
    """Return where the bytes of an import wait: among the user's uploads, and apart from those of the same asset."""
    return f"uploads/{user_id}/{asset_id}/{import_id}.{extension}"


def there(store: ObjectStore, transfer: Transfer) -> int:
    """Return how many parts have arrived, from the first on and without a gap; 0 if the upload is over or lost."""
    if transfer.plan is None or not isinstance(store, WritesParts):
        return 0
    try:
        found = store.parts_there(transfer.plan)
    except ObjectNotFoundError:
        return 0
    return next(number for number in range(transfer.plan.count + 1) if number + 1 not in found)


def remove(store: ObjectStore, transfer: Transfer) -> None:
    """Remove what lies in staging; safe to repeat."""
    if transfer.plan is not None and isinstance(store, WritesParts):
        store.abort_parts(transfer.plan)
    store.delete(transfer.key)


def digest_of_staged(store: ObjectStore, info: ObjectInfo) -> str:
    """Return the SHA-256 of an object that was just written; it is read again where the store did not tell."""
    return info.sha256 or sha256_of(store, info.key)


async def in_thread(work: Callable[Arguments, Result], *arguments: Arguments.args, **more: Arguments.kwargs) -> Result:
    """Run what blocks in a thread, to its end even where the caller is cancelled: no write outlives an import."""
    return await stoppable(lambda _: work(*arguments, **more))


async def stoppable(work: Callable[[Event], Result]) -> Result:
    """Do the same, and tell the work by an event that the caller was cancelled, so that it may end sooner."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # nobody else will ask for it
        raise
