"""Putting a row between two others: the one place where keys are given to rows."""

from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mamkit.catalog.collection_models import Collection, CollectionItem
from mamkit.catalog.library_errors import ItemNotFoundError
from mamkit.catalog.order_keys import MAX_KEY, between, spread

__all__ = ["After", "place_after"]

After = UUID | Literal["first", "last"]
"""Where something goes: behind the row of this id, or to an end."""

_WINDOW = 64  # neighbours to each side that are spread anew at first: two screens of them


Ordered = type[Collection] | type[CollectionItem]
"""The rows that are ordered by hand."""


async def place_after(
    session: AsyncSession,
    rows: Ordered,
    among: ColumnElement[bool],
    name: InstrumentedAttribute[UUID],
    after: After,
) -> str:
    """Return the key with which a row stands where it is to stand; one that stands there already may be the row itself.

    Whoever calls holds a lock that all who order the same rows take. No other row changes, unless somebody has put a
    thousand between the same two: then their neighbours are spread.

    Args:
        session: Of `Catalog.begin`.
        rows: The class of the rows.
        among: Which of them are ordered with each other.
        name: The column by which `after` names one.
        after: Where.

    Raises:
        ItemNotFoundError: No such row is among them.
    """
    key = between(*await _neighbours(session, rows, among, name, after))
    window = _WINDOW
    while len(key) > MAX_KEY:
        await _spread(session, rows, among, key, window)
        key = between(*await _neighbours(session, rows, among, name, after))
        window *= 2
    return key


async def _neighbours(
    session: AsyncSession,
    rows: Ordered,
    among: ColumnElement[bool],
    name: InstrumentedAttribute[UUID],
    after: After,
) -> tuple[str | None, str | None]:
    keys = select(rows.position).where(among)
    if after == "last":
        return await session.scalar(keys.order_by(rows.position.desc()).limit(1)), None
    if after == "first":
        return None, await session.scalar(keys.order_by(rows.position).limit(1))
    low = await session.scalar(keys.where(name == after))
    if low is None:
        raise ItemNotFoundError(after)
    return low, await session.scalar(keys.where(rows.position > low).order_by(rows.position).limit(1))


async def _spread(session: AsyncSession, rows: Ordered, among: ColumnElement[bool], around: str, window: int) -> None:
    """Give the rows around a key shorter ones, in the same order; those further away keep theirs."""
    some: Select[Any] = select(rows).where(among)
    before = list(
        await session.scalars(some.where(rows.position < around).order_by(rows.position.desc()).limit(window))
    )
    behind = list(await session.scalars(some.where(rows.position > around).order_by(rows.position).limit(window)))
    # The outermost of each side stays, as the border, unless it is the last that there is.
    low = before.pop().position if len(before) == window else None
    high = behind.pop().position if len(behind) == window else None
    found = [*reversed(before), *behind]
    for row, key in zip(found, spread(low, high, len(found)), strict=True):
        row.position = key
    await session.flush()
