"""Finding assets: one query, as each database answers it best.

A query is data: another engine can serve it as well. Pages follow each other by the sort key and the id of their last
asset, so that their cost does not grow with the pages before, and assets that come meanwhile move nothing.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from operator import eq, ge, le, lt
from typing import Any, Self, TypeVarTuple
from uuid import UUID

from sqlalchemy import Select, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog._matching import first_matches, holds_words, one_holds_words
from mamkit.catalog._pages import check_limit
from mamkit.catalog.filters import AssetFilter, Sort
from mamkit.catalog.library_errors import (
    InvalidQueryError,
)
from mamkit.catalog.models import Asset, AssetTag
from mamkit.catalog.words import words_of

__all__ = ["FACETED", "MAX_FACETED", "AssetQuery", "Facets", "Page", "Sort", "facets_of", "find_assets", "is_found"]

MAX_FACETED = 10_000
"""Most assets that facets are counted of, the newest first: bounds their cost, however many there are."""

FACETED = ("kind", "codec", "status", "owner", "tag")
"""What facets are counted by."""

_MAX_VALUES = 50  # of one facet, the most frequent ones


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetQuery(AssetFilter):
    """Which assets of a workspace are looked for, and in which order."""

    workspace_id: UUID
    trashed: bool = False
    """Look into the trash, rather than at what is not in it."""

    @classmethod
    def of(cls, wanted: AssetFilter, workspace_id: UUID) -> Self:
        """Return the query for what a filter finds in a workspace."""
        return cls(workspace_id=workspace_id, **{each.name: getattr(wanted, each.name) for each in fields(AssetFilter)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the assets that a query found."""

    assets: tuple[Asset, ...]
    next: str | None
    """What the page after it begins after; None on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many of the assets that a query found have which value."""

    counts: Mapping[str, Mapping[str, int]]
    """By the names in `FACETED`; the most frequent values first, at most 50 each."""
    complete: bool
    """Whether all assets were counted; if not, the newest `MAX_FACETED` were."""


Columns = TypeVarTuple("Columns")

_KEYS: Mapping[Sort, tuple[Any, bool]] = {
    "newest": (None, True),
    "oldest": (None, False),
    "title": (Asset.title_key, False),
    "-title": (Asset.title_key, True),
    "longest": (Asset.duration_sec, True),
    "shortest": (Asset.duration_sec, False),
}
"""The column that comes before the id, and whether the order is descending."""


async def find_assets(session: AsyncSession, query: AssetQuery, *, after: str | None = None, limit: int = 50) -> Page:
    """Return a page of the assets that a query describes.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        query: Which assets, in which order.
        after: `Page.next` of the page before, by the same sort; the asset it names need not exist any more.
        limit: At most so many, from 1 to `MAX_PAGE`.

    Raises:
        InvalidPageError: `limit` is out of bounds.
        InvalidQueryError: `after` is not what a page of this sort gave.
    """
    check_limit(limit)
    column, descending = _KEYS[query.sort]
    words = words_of([query.text])
    statement = _where(select(Asset), query)
    columns = [Asset.id] if column is None else [column, Asset.id]
    if after is not None:
        position = _position(query.sort, after)
        key = tuple_(*columns)
        statement = statement.where(key < position if descending else key > position)
    statement = statement.order_by(*(each.desc() if descending else each.asc() for each in columns))
    if words:
        found = await first_matches(session, statement, workspace_id=query.workspace_id, words=words, limit=limit + 1)
    else:
        found = list(await session.scalars(statement.limit(limit + 1)))
    page = tuple(found[:limit])
    return Page(assets=page, next=_cursor(query.sort, page[-1]) if len(found) > limit else None)


async def is_found(session: AsyncSession, query: AssetQuery, asset_id: UUID) -> bool:
    """Return whether an asset is among those that a query describes; its cost does not grow with their number."""
    found = _where(select(Asset.id).where(Asset.id == asset_id), query)
    if words := words_of([query.text]):
        found = found.where(one_holds_words(session.get_bind().dialect.name, asset_id, words))
    return await session.scalar(found) is not None


async def facets_of(session: AsyncSession, query: AssetQuery) -> Facets:
    """Return how many of the assets that a query describes have which value.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        query: Which assets.
    """
    columns = (Asset.id, Asset.kind, Asset.codec, Asset.status, Asset.user_id)
    found = _where(select(*columns), query)
    if words := words_of([query.text]):
        found = found.where(holds_words(session.get_bind().dialect.name, query.workspace_id, words))
    newest = found.order_by(Asset.id.desc()).limit(MAX_FACETED).subquery()
    counts = {}
    for name, column in zip(FACETED, (newest.c.kind, newest.c.codec, newest.c.status, newest.c.user_id), strict=False):
        counts[name] = await _count(session, select(column, func.count()).select_from(newest), column)
    tagged = select(AssetTag.tag, func.count()).join(newest, newest.c.id == AssetTag.asset_id)
    counts["tag"] = await _count(session, tagged, AssetTag.tag)
    total = await session.scalar(select(func.count()).select_from(newest)) or 0
    return Facets(counts=counts, complete=total < MAX_FACETED)


def _where(statement: Select[*Columns], query: AssetQuery) -> Select[*Columns]:
    statement = statement.where(Asset.workspace_id == query.workspace_id, Asset.trashed == query.trashed)
    bounds: list[tuple[Any, Callable[[Any, Any], Any], Any]] = [
        (Asset.kind, eq, query.kind),
        (Asset.codec, eq, query.codec),
        (Asset.status, eq, query.status),
        (Asset.user_id, eq, query.owner_id),
        (Asset.duration_sec, ge, query.min_duration),
        (Asset.duration_sec, le, query.max_duration),
        (Asset.height, ge, query.min_height),
        (Asset.height, le, query.max_height),
        (Asset.created_at, ge, query.created_from),
        (Asset.created_at, lt, query.created_before),
    ]
    statement = statement.where(*(compare(column, value) for column, compare, value in bounds if value is not None))
    for tag in sorted(query.tags):
        statement = statement.where(exists().where(AssetTag.asset_id == Asset.id, AssetTag.tag == tag))
    return statement


async def _count(session: AsyncSession, statement: Select[Any, int], column: Any) -> dict[str, int]:
    frequent = statement.group_by(column).order_by(func.count().desc(), column).limit(_MAX_VALUES)
    return {str(value): count for value, count in await session.execute(frequent)}


def _cursor(sort: Sort, last: Asset) -> str:
    column, _ = _KEYS[sort]
    value = None if column is None else getattr(last, column.key)
    return base64.urlsafe_b64encode(json.dumps([sort, value, last.id.hex]).encode()).decode().rstrip("=")


def _storable(value: object) -> None:
    """Refuse with a `ValueError` what no database takes as text: NUL, and half a surrogate pair."""
    if isinstance(value, str) and b"\0" in value.encode():
        raise ValueError("no title is sorted by this")


def _position(sort: Sort, cursor: str) -> Any:
    """Return what a page begins after, as the database compares it."""
    column, _ = _KEYS[sort]
    try:
        made_by, value, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        asset_id = UUID(hex=last)
        _storable(value)
        fits = made_by == sort and type(value) is {None: type(None)}.get(column, str if "title" in sort else float)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise InvalidQueryError("the page to begin after is of another query; leave it out to begin anew")
    return tuple_(asset_id) if column is None else tuple_(value, asset_id)
