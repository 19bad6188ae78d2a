"""What is said about assets, their tags, the trash, and the words by which they are found."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from mamkit.catalog._facts import shown_facts
from mamkit.catalog.search_models import statements
from mamkit.catalog.words import fold, words_of, workspace_word

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
SORT_KEY = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
ALL = "(SELECT current_setting('mamkit.scope', true)) = 'all'"
BATCH = 500  # assets whose words are written at once

COLUMNS: list[tuple[str, Any, str]] = [
    ("description", sa.String(10_000), "''"),
    ("fields", sa.JSON, "'{}'"),
    ("title_key", SORT_KEY, "''"),
    ("kind", sa.String(16), "'unknown'"),
    ("status", sa.String(16), "'new'"),
    ("duration_sec", sa.Double, "0"),
    ("width", sa.Integer, "0"),
    ("height", sa.Integer, "0"),
    ("codec", sa.String(32), "''"),
    ("revision", sa.Integer, "1"),
    ("trashed", sa.Boolean, "false"),
    ("purging", sa.Boolean, "false"),
    ("updated_at", MOMENT, "created_at"),
]
INDEXES = [
    ["workspace_id", "trashed", "id"],
    ["workspace_id", "trashed", "title_key", "id"],
    ["workspace_id", "trashed", "duration_sec", "id"],
]
CHECKS = {
    "kind": "kind IN ('unknown', 'video', 'audio')",
    "status": "status IN ('new', 'queued', 'building', 'playable', 'ready', 'failed')",
}


def upgrade() -> None:
    """Add columns and tables, and fill them from what is known."""
    with op.batch_alter_table("assets") as assets:
        for name, kind, _ in COLUMNS:
            assets.add_column(sa.Column(name, kind))
        assets.add_column(sa.Column("trashed_at", MOMENT))
    op.execute("UPDATE assets SET " + ", ".join(f"{name} = {value}" for name, _, value in COLUMNS))  # noqa: S608
    with op.batch_alter_table("assets") as assets:
        for name, kind, _ in COLUMNS:
            assets.alter_column(name, existing_type=sa.types.to_instance(kind), nullable=False)
        for name, check in CHECKS.items():
            assets.create_check_constraint(name, check)
        assets.drop_index(op.f("ix_assets_workspace_id_id"))
        for columns in INDEXES:
            assets.create_index(op.f(f"ix_assets_{'_'.join(columns)}"), columns)
    op.create_table(
        "asset_tags",
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("tag", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "tag"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_asset_tags_tag_asset_id"), "asset_tags", ["tag", "asset_id"])
    op.create_table(
        "asset_texts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("asset_id"),
    )
    connection = op.get_bind()
    for statement in statements(connection.dialect.name):
        op.execute(statement)
    if connection.dialect.name == "postgresql":
        op.execute("ALTER TABLE asset_tags ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE asset_tags FORCE ROW LEVEL SECURITY")
        seen = "EXISTS (SELECT 1 FROM assets WHERE assets.id = asset_id)"
        op.execute(f"CREATE POLICY scope ON asset_tags USING ({ALL} OR {seen})")
    _fill(connection)


def downgrade() -> None:
    """Forget what only this revision knows; assets in the trash come back."""
    if op.get_bind().dialect.name == "sqlite":
        for trigger in ("add", "forget", "change"):
            op.execute(f"DROP TRIGGER asset_words_{trigger}")
        op.execute("DROP TABLE asset_words")
    op.drop_table("asset_texts")
    op.drop_table("asset_tags")
    with op.batch_alter_table("assets") as assets:
        for columns in INDEXES:
            assets.drop_index(op.f(f"ix_assets_{'_'.join(columns)}"))
        for name in CHECKS:
            assets.drop_constraint(op.f(f"ck_assets_{name}"), type_="check")
        for name, _, _ in COLUMNS:
            assets.drop_column(name)
        assets.drop_column("trashed_at")
        assets.create_index(op.f("ix_assets_workspace_id_id"), ["workspace_id", "id"])


def _fill(connection: sa.Connection) -> None:
    """Write what assets show of their newest version, and their words, a batch at a time."""
    uuid = sa.Uuid()
    assets = sa.table(
        "assets",
        sa.column("id", uuid),
        sa.column("workspace_id", uuid),
        *(sa.column(name) for name in ("title", "original_name", "title_key", "kind", "status")),
        *(sa.column(name) for name in ("duration_sec", "width", "height", "codec")),
    )
    versions = sa.table(
        "versions",
        sa.column("id", uuid),
        sa.column("asset_id", uuid),
        sa.column("number"),
        sa.column("metadata", sa.JSON),
    )
    previews = sa.table("previews", sa.column("version_id", uuid), sa.column("status"))
    comments = sa.table("comments", sa.column("asset_id", uuid), sa.column("content"))
    texts = sa.table("asset_texts", sa.column("asset_id", uuid), sa.column("words"))
    after = UUID(int=0)
    while rows := connection.execute(
        sa.select(assets.c.id, assets.c.workspace_id, assets.c.title, assets.c.original_name)
        .where(assets.c.id > after)
        .order_by(assets.c.id)
        .limit(BATCH)
    ).all():
        after = rows[-1].id
        ids = [row.id for row in rows]
        found = connection.execute(
            sa.select(versions.c.asset_id, versions.c.metadata, previews.c.status)
            .join(previews, previews.c.version_id == versions.c.id, isouter=True)
            .where(versions.c.asset_id.in_(ids))
            .order_by(versions.c.number)
        )
        newest = {row.asset_id: (row.metadata, row.status) for row in found}
        said: dict[UUID, list[str]] = {}
        for row in connection.execute(sa.select(comments).where(comments.c.asset_id.in_(ids))):
            said.setdefault(row.asset_id, []).append(row.content)
        for row in rows:
            facts, status = newest.get(row.id, (None, None))
            shown = shown_facts(facts if isinstance(facts, dict) else {})
            shown |= {"title_key": fold(row.title)[:200], "status": status or "new"}
            connection.execute(sa.update(assets).where(assets.c.id == row.id).values(shown))
            sources = [row.title, row.original_name or "", shown["codec"], *said.get(row.id, [])]
            words = " ".join([workspace_word(row.workspace_id), *words_of(sources)])
            connection.execute(sa.insert(texts).values(asset_id=row.id, words=words))
