"""Assets with certain words, in the order that is asked for.

An index of words gives all assets that hold a word, in no order. A word of few assets is found by it at once; of a word
that every second asset holds it gives half the library, only to sort it and to show the first fifty. So the first
assets in the order asked for are looked at first, some hundred of them: a frequent word fills its page from those, and
a rare one costs a few milliseconds more than by the index alone. Neither depends on how many assets there are.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    Text,
    TextClause,
    column,
    func,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Asset
from mamkit.catalog.search_models import AssetText
from mamkit.catalog.words import workspace_word

__all__ = ["first_matches", "holds_words", "one_holds_words"]

FIRST_WINDOW = 500
"""Assets looked at before the index is asked for all: their words are read in some 3 ms."""

LAST_WINDOW = 16_000
"""Most assets looked at one by one, in some 50 ms. What is rarer than that is fetched by the index."""

FEW = 25
"""Of the first window, how many may hold a word that counts as rare: one in twenty."""

_DOCUMENT = literal_column("asset_texts.document", Text).label("document")
_WORDS = table("asset_words", column("rowid", Integer), column("asset_words", Text))


def holds_words(dialect: str, workspace_id: UUID, words: list[str]) -> ColumnElement[bool]:
    """Return the condition that an asset has words that begin so, answered by the index of words."""
    place = workspace_word(workspace_id)
    found = select(AssetText.asset_id).where(*_begun(dialect, AssetText.words, _unsure(place, words)))
    sought = _sought(dialect, place, words)
    if dialect == "postgresql":
        return Asset.id.in_(found.where(_matches("asset_texts", sought)))
    return Asset.id.in_(found.where(AssetText.id.in_(_rows(sought))))


def one_holds_words(dialect: str, asset_id: UUID, words: list[str]) -> ColumnElement[bool]:
    """Return the condition that a certain asset has words that begin so, read from its text alone."""
    found = select(AssetText.asset_id).where(AssetText.asset_id == asset_id, *_begun(dialect, AssetText.words, words))
    return Asset.id.in_(found)


async def first_matches(
    session: AsyncSession, ordered: Select[Asset], *, workspace_id: UUID, words: list[str], limit: int
) -> list[Asset]:
    """Return the first assets of a statement that have words that begin so.

    Args:
        session: Of `Catalog.read` or `Catalog.begin`.
        ordered: Selects assets of the workspace in an order that an index gives, and has no limit.
        workspace_id: Of the assets.
        words: Letters and digits alone.
        limit: At most so many.
    """
    dialect = session.get_bind().dialect.name
    place = workspace_word(workspace_id)
    near = _near_in_postgresql if dialect == "postgresql" else _near_in_sqlite
    window = FIRST_WINDOW
    while window <= LAST_WINDOW:
        texts = near(_texts(ordered, window), place, words)
        found = list(await session.scalars(ordered.where(Asset.id.in_(texts)).limit(limit)))
        if len(found) >= limit:
            return found
        if not found:
            break
        window = max(4 * window, 2 * window * limit // len(found))
    by_index = _by_index_in_postgresql if dialect == "postgresql" else _by_index_in_sqlite
    rare = await _rare(session, ordered, words)
    unsure = _unsure(place, words)
    matches = by_index(place, [word for word in rare if word not in unsure] or rare, words)
    return list(await session.scalars(ordered.where(Asset.id.in_(matches)).limit(limit)))


async def _rare(session: AsyncSession, ordered: Select[Asset], words: list[str]) -> list[str]:
    """Return those words that the index is to be asked for.

    Both databases collect all assets that hold a beginning of a word before they look which of them hold the others, so
    that a frequent word costs as much as the library is large, however rare the word beside it is. Which words are
    frequent is seen in the first assets; a wrong guess costs time and nothing else.
    """
    if len(words) == 1:
        return words
    near: Any = _texts(ordered, FIRST_WINDOW)
    held: Sequence[ColumnElement[bool] | TextClause]
    if session.get_bind().dialect.name == "postgresql":
        near = near.with_only_columns(_DOCUMENT).cte("near").prefix_with("MATERIALIZED", dialect="postgresql")
        held = [_matches("near", f"'{word}':*", f"word{at}") for at, word in enumerate(words)]
    else:
        near = near.with_only_columns(AssetText.words).cte("near")
        held = _begun("sqlite", near.c.words, words)
    columns = [func.count().filter(each) for each in held]
    counts = (await session.execute(select(*columns).select_from(near))).one()
    most = max(FEW, min(counts))
    return [word for word, count in zip(words, counts, strict=True) if count <= most]


def _sought(dialect: str, place: str, words: list[str]) -> str:
    """Return what each database calls a query of words; letters and digits alone can be quoted by either rule."""
    if dialect == "postgresql":
        return " & ".join([place, *(f"'{word}':*" for word in words)])
    return " ".join([place, *(f'"{word}"*' for word in words)])


def _matches(source: str, sought: str, name: str = "sought") -> TextClause:
    """Return the condition that a document matches a query of PostgreSQL, which is bound under a name."""
    return text(f"{source}.document @@ to_tsquery('simple', :{name})").bindparams(**{name: sought})


def _rows(sought: str) -> Select[int]:
    """Return the rows of FTS5 that match; its table, as a column, is what a query is held against."""
    return select(_WORDS.c.rowid).where(_WORDS.c.asset_words.op("MATCH")(sought))


def _unsure(place: str, words: list[str]) -> list[str]:
    """Return the words that the index finds everywhere, since the word of the workspace begins so."""
    return [word for word in words if place.startswith(word)]


def _begun(dialect: str, texts: SQLColumnExpression[str], words: list[str]) -> list[ColumnElement[bool]]:
    """Return the conditions that a text has words that begin so, read from the text itself.

    Words are folded, and a space stands before each but the first, which names the workspace and is nobody's.
    """
    place_of: Callable[..., ColumnElement[int]] = func.strpos if dialect == "postgresql" else func.instr
    return [place_of(texts, f" {word}") > 0 for word in words]


def _texts(ordered: Select[Asset], window: int) -> Select[AssetText]:
    """Return the words of the first assets of a statement."""
    first = ordered.with_only_columns(Asset.id).limit(window).subquery("first")
    return select(AssetText).join(first, first.c.id == AssetText.asset_id)


def _near_in_postgresql(texts: Select[AssetText], place: str, words: list[str]) -> Select[UUID]:
    """Return the ids of those texts that match; they are read first, so that the index is not asked for all."""
    return _held_in_postgresql("near", texts, place, words)


def _by_index_in_postgresql(place: str, rare: list[str], words: list[str]) -> Select[UUID]:
    """Return the ids of the texts that match, of which the index gives those with rare words.

    They are read first, too, since the planner cannot know how many assets hold a word that it has not seen.
    """
    found = select(AssetText).where(_matches("asset_texts", _sought("postgresql", place, rare), "rare"))
    return _held_in_postgresql("matches", found, place, words)


def _held_in_postgresql(name: str, texts: Select[AssetText], place: str, words: list[str]) -> Select[UUID]:
    unsure = _unsure(place, words)
    columns: list[Any] = [AssetText.asset_id, _DOCUMENT, *([AssetText.words] if unsure else [])]
    read = texts.with_only_columns(*columns).cte(name).prefix_with("MATERIALIZED", dialect="postgresql")
    held = _begun("postgresql", read.c.words, unsure) if unsure else []
    return select(read.c.asset_id).where(_matches(name, _sought("postgresql", place, words)), *held)


def _near_in_sqlite(texts: Select[AssetText], place: str, words: list[str]) -> Select[UUID]:
    """Return the same from the texts themselves: FTS5 collects all that hold a beginning, for however few rows."""
    del place
    return texts.with_only_columns(AssetText.asset_id).where(*_begun("sqlite", AssetText.words, words))


def _by_index_in_sqlite(place: str, rare: list[str], words: list[str]) -> Select[UUID]:
    """Return the same by FTS5, which is asked for rare words, and by what it finds."""
    found = select(AssetText.asset_id).where(AssetText.id.in_(_rows(_sought("sqlite", place, rare))))
    return select(found.where(*_begun("sqlite", AssetText.words, words)).cte("matches").c.asset_id)
