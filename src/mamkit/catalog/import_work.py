"""Working on imports: taken with a lease, gone on with after a crash, ended once.

Whoever works on an import holds its lease and says again and again how far it is. A process that is killed says nothing
more, its lease ends, and another goes on where it was. One that was only slow learns that it has lost the import, and
changes nothing: every function here looks at the lease, under the row's lock.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mamkit.catalog.duplicates import versions_with_bytes
from mamkit.catalog.engine import now
from mamkit.catalog.import_models import Import, ImportKind
from mamkit.catalog.imports import OVER, tell_of_import
from mamkit.catalog.models import User, Version
from mamkit.ids import uuid7

__all__ = [
    "MAX_ATTEMPTS",
    "begin_storing",
    "claim_import",
    "clear_import",
    "fail_import",
    "finish_import",
    "hand_back_import",
    "imports_are_due",
    "renew_import",
    "settle_origin",
]

MAX_ATTEMPTS = 8
"""Failures one after the other, without a byte that was kept in between, after which an import has failed."""

_TELL_EVERY = timedelta(seconds=1)  # more often nobody looks
_AT_WORK = ("running", "storing")


async def imports_are_due(session: AsyncSession, kinds: Collection[ImportKind]) -> bool:
    """Return whether an import can be claimed; cheap to ask for often."""
    return await session.scalar(select(Import.id).where(*_claimable(kinds, now(session))).limit(1)) is not None


async def claim_import(session: AsyncSession, kinds: Collection[ImportKind], *, lease: timedelta) -> Import | None:
    """Take the right to work on an import, and return it; None if there is none to work on.

    Users take turns: whoever has the fewest under way comes next. An import that is over already is handed out as well,
    while something of it lies in the store that is to be removed: see `clear_import`.

    Args:
        session: Of `Catalog.begin`, without a scope.
        kinds: Those that this process can work on.
        lease: For how long, unless it is renewed.
    """
    moment = now(session)
    others = aliased(Import)
    at_work = select(func.count()).where(
        others.user_id == Import.user_id, others.state.in_(_AT_WORK), others.lease_until > moment
    )
    query = select(Import).where(*_claimable(kinds, moment)).order_by(at_work.scalar_subquery(), Import.id)
    row = await session.scalar(query.limit(1).with_for_update(skip_locked=True, of=Import))
    if row is None:
        return None
    row.lease, row.lease_until = uuid7(), moment + lease
    row.started_at = row.started_at or moment
    if row.state == "waiting":
        row.state = "running"
    elif row.state in _AT_WORK:
        row.attempts += 1  # whoever was at it was killed, perhaps by it
    await session.flush()
    return row


async def renew_import(
    session: AsyncSession,
    claimed: Import,
    *,
    by: timedelta,
    received: int,
    size: int | None,
    transfer: dict[str, Any] | None,
    lasting: bool = True,
) -> bool:
    """Say how far an import is; return False, and change nothing, if it was cancelled or has gone to another.

    Args:
        session: Of `Catalog.begin`, without a scope.
        claimed: As `claim_import` gave it.
        by: For how long from now the lease is to hold.
        received: Bytes that need not be fetched again.
        size: Bytes of the whole, where that is known.
        transfer: What is needed to go on.
        lasting: Whether what was received need not be fetched again after a break; only then is it progress that makes
            up for failures.
    """
    row = await _held(session, claimed)
    if row is None or row.state in OVER:
        return False
    moment = now(session)
    if lasting and received > row.received:
        row.attempts = 0
    row.lease_until, row.updated_at = moment + by, moment
    row.received, row.size, row.transfer = received, size, transfer
    if row.told_at is None or moment - row.told_at >= _TELL_EVERY:
        row.told_at = moment
        await tell_of_import(session, "import.progress", row)
    await session.flush()
    return True


async def begin_storing(
    session: AsyncSession, claimed: Import, sha256: str
) -> Version | Literal["store", "wait", "lost"]:
    """Decide what becomes of bytes that are all here. From now on the import cannot be cancelled.

    Of imports of one user that bring the same bytes at once, and are to skip what is known, one stores them; the others
    wait for it.

    Args:
        session: Of `Catalog.begin`, without a scope.
        claimed: As `claim_import` gave it.
        sha256: Of the bytes, hexadecimal.

    Returns:
        The version that has these bytes, if what is known is to be skipped and one has; else whether to store them, to
        wait, or to leave the import alone since it was lost.
    """
    # One decision about a user's bytes at a time; `key_share`, since nobody who only refers to the user has to wait.
    await session.get(User, claimed.user_id, with_for_update={"key_share": True})
    row = await _held(session, claimed)
    if row is None or row.state in OVER:
        return "lost"
    if row.state == "storing":
        return "store"
    if row.skip_known:
        if found := await versions_with_bytes(session, row.user_id, sha256, limit=1):
            return found[0]
        query = select(Import.id).where(
            Import.user_id == row.user_id, Import.sha256 == sha256, Import.id != row.id, Import.state == "storing"
        )
        if await session.scalar(query.limit(1)) is not None:
            return "wait"
    row.state, row.sha256, row.updated_at = "storing", sha256, now(session)
    await session.flush()
    return "store"


async def finish_import(session: AsyncSession, claimed: Import, version: Version, *, duplicate: bool) -> bool:
    """Note which version an import has become; return False, and note nothing, if it was lost."""
    row = await _held(session, claimed)
    if row is None or row.state in OVER:
        return False
    moment = now(session)
    row.state, row.version_id, row.duplicate, row.asset_id = "done", version.id, duplicate, version.asset_id
    row.sha256, row.size, row.received = version.sha256, version.size, version.size
    row.failure_code = row.failure = None
    _end(row, moment)
    await session.flush()
    await tell_of_import(session, "import.done", row)
    return True


async def fail_import(
    session: AsyncSession, claimed: Import, *, code: str, reason: str, again_in: timedelta | None
) -> Literal["again", "over", "lost"]:
    """Note that an attempt has failed, and let it be tried again or not; return which.

    `lost` is an import that was cancelled or has gone to another: nothing is noted.

    Args:
        session: Of `Catalog.begin`, without a scope.
        claimed: As `claim_import` gave it.
        code: Stable code of the error.
        reason: For its owner; at most 500 characters of it are kept.
        again_in: When to try again, unless that has failed too often; None: it would be no use.
    """
    row = await _held(session, claimed)
    if row is None or row.state in OVER:
        return "lost"
    moment = now(session)
    row.failure_code, row.failure, row.updated_at = code, reason[:500], moment
    row.attempts += 1
    if again_in is not None and row.attempts < MAX_ATTEMPTS:
        _wait(row, moment + again_in)
        await session.flush()
        return "again"
    row.state = "failed"
    _end(row, moment)
    await session.flush()
    await tell_of_import(session, "import.failed", row)
    return "over"


async def hand_back_import(session: AsyncSession, claimed: Import, *, again_in: timedelta = timedelta(0)) -> None:
    """Give an import back unharmed, as if it had not been claimed."""
    row = await _held(session, claimed)
    if row is not None and row.state not in OVER:
        _wait(row, now(session) + again_in)
        await session.flush()


async def clear_import(session: AsyncSession, claimed: Import) -> None:
    """Note that nothing is left in the store of an import that is over."""
    row = await _held(session, claimed)
    if row is not None:
        row.transfer = row.lease = row.lease_until = None
        await session.flush()


async def settle_origin(session: AsyncSession, import_id: UUID) -> None:
    """Let what an import has brought in be brought in again, since it is not there any more."""
    row = await session.get(Import, import_id, with_for_update=True, populate_existing=True)
    if row is not None:
        row.origin = None
        await session.flush()


def _claimable(kinds: Collection[ImportKind], moment: datetime) -> tuple[ColumnElement[bool], ...]:
    left = and_(Import.state.in_(sorted(OVER)), Import.transfer.is_not(None))
    wanted = and_(Import.state == "waiting", Import.due_at <= moment)
    free = or_(Import.lease_until.is_(None), Import.lease_until <= moment)
    # Whatever an import is of, what is left of it can be removed by everybody.
    return free, or_(left, and_(or_(wanted, Import.state.in_(_AT_WORK)), Import.kind.in_(sorted(kinds))))


async def _held(session: AsyncSession, claimed: Import) -> Import | None:
    row = await session.get(Import, claimed.id, with_for_update=True, populate_existing=True)
    return None if row is None or row.lease is None or row.lease != claimed.lease else row


def _wait(row: Import, due_at: datetime) -> None:
    if row.state == "running":  # `storing` stays: what was decided of its bytes holds
        row.state = "waiting"
    row.due_at = due_at
    row.lease, row.lease_until = None, due_at if row.state == "storing" else None


def _end(row: Import, moment: datetime) -> None:
    """End an import; its lease stays, so that whoever has it removes what it left in the store."""
    row.sealed = None
    if row.kind == "url":
        row.origin = None
    row.ended_at = row.updated_at = moment
