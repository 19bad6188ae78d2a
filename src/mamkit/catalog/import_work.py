"""Working on imports: taken with a lease, gone on with after a crash, ended once.

Whoever works on an import holds its lease and says again and again how far it is. A process that is killed says nothing
more, its lease ends, and another goes on where it was. One that was only slow learns that it has lost the import, and
changes nothing: every function here looks at the lease, under the row's lock.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all
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
_LONGEST = 500  # imports of a kind that have waited longest: more than a user may have, so that nobody is passed over


async def imports_are_due(session: AsyncSession, kinds: Collection[ImportKind]) -> bool:
    """Return whether an import can be claimed; cheap to ask for often."""
    moment = now(session)
    for conditions in (_left(moment), *(_due(kind, moment) for kind in kinds)):
        if await session.scalar(select(Import.id).where(*conditions).limit(1)) is not None:
            return True
    return False


async def claim_import(session: AsyncSession, kinds: Collection[ImportKind], *, lease: timedelta) -> Import | None:
    """Take the right to work on an import, and return it; None if there is none to work on.

    Users take turns: of those imports that have waited longest, the next one is of whoever has the fewest under way.
    An import that is over already is handed out as well, while something of it lies in the store that is to be removed:
    see `clear_import`.

    Args:
        session: Of `Catalog.begin`, without a scope.
        kinds: Those that this process can work on.
        lease: For how long, unless it is renewed.
    """
    moment = now(session)
    # Whatever an import is of, what is left of it can be removed by everybody.
    row = await _first(session, select(Import).where(*_left(moment)))
    if row is None and kinds:
        longest = (
            select(Import.id).where(*_due(kind, moment)).order_by(Import.due_at).limit(_LONGEST) for kind in kinds
        )
        others = aliased(Import)
        at_work = select(func.count()).where(
            others.user_id == Import.user_id, others.state.in_(_AT_WORK), others.lease_until > moment
        )
        candidates = union_all(*(select(each.subquery().c.id) for each in longest)).subquery()
        query = select(Import).where(
            Import.id.in_(select(candidates.c.id)), _is_free(moment), Import.state.not_in(OVER)
        )
        row = await _first(session, query.order_by(at_work.scalar_subquery(), Import.due_at, Import.id))
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


async def _first(session: AsyncSession, query: Select[Import]) -> Import | None:
    return await session.scalar(query.limit(1).with_for_update(skip_locked=True, of=Import))


def _is_free(moment: datetime) -> ColumnElement[bool]:
    return or_(Import.lease_until.is_(None), Import.lease_until <= moment)


def _due(kind: ImportKind, moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of an import that is to be worked on; `due_at` is past while somebody is at it, too."""
    return Import.kind == kind, Import.state.in_(("waiting", *_AT_WORK)), Import.due_at <= moment, _is_free(moment)


def _left(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of an import that is over, and of which something lies in the store."""
    return Import.ended_at.is_not(None), Import.transfer.is_not(None), _is_free(moment)


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
