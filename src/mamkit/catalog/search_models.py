"""The words of each asset, and how each database finds them.

SQLite keeps them in a table of FTS5 whose content this table is (sqlite.org/fts5.html section 4.4.3, "External Content
Tables"), PostgreSQL in a generated `tsvector` with a GIN index. Words are folded by `mamkit.catalog.words`, the same
for both, so that neither database's notion of a word matters.
"""

from uuid import UUID

from sqlalchemy import DDL, ForeignKey, Integer, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog.models import Base

__all__ = ["AssetText", "statements"]


class AssetText(Base):
    """The words by which an asset is found."""

    __tablename__ = "asset_texts"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    asset_id: Mapped[UUID] = mapped_column(ForeignKey("assets.id", ondelete="CASCADE"), unique=True)
    words: Mapped[str] = mapped_column(Text)


def statements(dialect: str) -> list[str]:
    """Return what makes the words of the table searchable on a kind of database."""
    made, tokens = "GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED", "tokenize='unicode61'"
    if dialect == "postgresql":
        return [
            f"ALTER TABLE asset_texts ADD COLUMN document tsvector {made}",
            "CREATE INDEX ix_asset_texts_document ON asset_texts USING gin (document)",
        ]
    forget = "INSERT INTO asset_words (asset_words, rowid, words) VALUES ('delete', old.id, old.words);"
    add = "INSERT INTO asset_words (rowid, words) VALUES (new.id, new.words);"
    return [
        f"CREATE VIRTUAL TABLE asset_words USING fts5(words, content='asset_texts', content_rowid='id', {tokens})",
        f"CREATE TRIGGER asset_words_add AFTER INSERT ON asset_texts BEGIN {add} END",
        f"CREATE TRIGGER asset_words_forget AFTER DELETE ON asset_texts BEGIN {forget} END",
        f"CREATE TRIGGER asset_words_change AFTER UPDATE ON asset_texts BEGIN {forget} {add} END",
    ]


for _dialect in ("sqlite", "postgresql"):
    for _statement in statements(_dialect):
        event.listen(AssetText.__table__, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
