"""Assets with certain words, in the order that is asked for.

An index of words gives all assets that hold a word, in no order. A word of few assets is found by it at once; of a word
that every second asset holds it gives half the library, only to sort it and to show the first fifty. So the first
assets in the order asked for are looked at first, some hundred of them: a frequent word fills its page from those, and
a rare one costs a few milliseconds more than by the index alone. Neither depends on how many assets there are.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Text, column, func, literal_column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit.catalog.models import Asset
from mamkit.catalog.search_models import AssetText
from mamkit.catalog.words import workspace_word

__all__ = ["first_matches", "holds_words"]

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
    return Asset.id.in_(_indexed(dialect, _sought(dialect, workspace_id, words)))


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
    sought = _sought(dialect, workspace_id, words)
    near = _near_in_postgresql if dialect == "postgresql" else _near_in_sqlite
    window = FIRST_WINDOW
    while window <= LAST_WINDOW:
        texts = near(_texts(ordered, window), sought)
        found = list(await session.scalars(ordered.where(Asset.id.in_(texts)).limit(limit)))
        if len(found) >= limit:
            return found
        if not found:
            break
        window = max(4 * window, 2 * window * limit // len(found))
    if dialect == "postgresql":
        rare = await _rare(session, ordered, words)
        matches = _by_index_in_postgresql(_sought(dialect, workspace_id, rare), sought)
    else:
        matches = select(_indexed(dialect, sought).cte("matches").c.asset_id)
    return list(await session.scalars(ordered.where(Asset.id.in_(matches)).limit(limit)))


async def _rare(session: AsyncSession, ordered: Select[Asset], words: list[str]) -> list[str]:
    """Return those words that the index of PostgreSQL is to be asked for.

    It collects all assets that hold a beginning of a word before it looks which of them hold the others, so that a
    frequent word costs as much as the library is large, however rare the word beside it is. Which words are frequent is
    seen in the first assets; a wrong guess costs time and nothing else.
    """
    if len(words) == 1:
        return words
    near = _texts(ordered, FIRST_WINDOW).with_only_columns(_DOCUMENT).cte("near")
    near = near.prefix_with("MATERIALIZED", dialect="postgresql")
    columns = [
        func.count().filter(
            text(f"near.document @@ to_tsquery('simple', :word{at})").bindparams(**{f"word{at}": f"'{word}':*"})
        )
        for at, word in enumerate(words)
    ]
    counts = (await session.execute(select(*columns).select_from(near))).one()
    most = max(FEW, min(counts))
    return [word for word, count in zip(words, counts, strict=True) if count <= most]


def _sought(dialect: str, workspace_id: UUID, words: list[str]) -> str:
    """Return what each database calls a query of words; letters and digits alone can be quoted by either rule."""
    place = workspace_word(workspace_id)
    if dialect == "postgresql":
        return " & ".join([place, *(f"'{word}':*" for word in words)])
    return " ".join([place, *(f'"{word}"*' for word in words)])


def _indexed(dialect: str, sought: str) -> Select[UUID]:
    found = select(AssetText.asset_id)
    if dialect == "postgresql":
        return found.where(text("asset_texts.document @@ to_tsquery('simple', :sought)").bindparams(sought=sought))
    return found.where(AssetText.id.in_(_rows(sought)))


def _rows(sought: str) -> Select[int]:
    """Return the rows of FTS5 that match; its table, as a column, is what a query is held against."""
    return select(_WORDS.c.rowid).where(_WORDS.c.asset_words.op("MATCH")(sought))


def _texts(ordered: Select[Asset], window: int) -> Select[AssetText]:
    """Return the words of the first assets of a statement."""
    first = ordered.with_only_columns(Asset.id).limit(window).subquery("first")
    return select(AssetText).join(first, first.c.id == AssetText.asset_id)


def _by_index_in_postgresql(rare: str, sought: str) -> Select[UUID]:
    """Return the ids of the texts that match, of which the index gives those with rare words."""
    found = select(AssetText.asset_id, _DOCUMENT).where(
        text("asset_texts.document @@ to_tsquery('simple', :rare)").bindparams(rare=rare)
    )
    # Of its own, since the planner cannot know how many assets hold a word that it has not seen.
    matches = found.cte("matches").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(matches.c.asset_id).where(
        text("matches.document @@ to_tsquery('simple', :sought)").bindparams(sought=sought)
    )


def _near_in_postgresql(texts: Select[AssetText], sought: str) -> Select[UUID]:
    """Return the ids of those texts that match; they are read first, so that the index is not asked for all."""
    columns = texts.with_only_columns(AssetText.asset_id, _DOCUMENT)
    near = columns.cte("near").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(near.c.asset_id).where(
        text("near.document @@ to_tsquery('simple', :sought)").bindparams(sought=sought)
    )


def _near_in_sqlite(texts: Select[AssetText], sought: str) -> Select[UUID]:
    """Return the same by rows that FTS5 looks at: from the first to the last of them, which were written together."""
    columns = texts.with_only_columns(AssetText.id, AssetText.asset_id).cte("near")
    low = select(func.min(columns.c.id)).scalar_subquery()
    high = select(func.max(columns.c.id)).scalar_subquery()
    return select(columns.c.asset_id).where(columns.c.id.in_(_rows(sought).where(_WORDS.c.rowid.between(low, high))))
