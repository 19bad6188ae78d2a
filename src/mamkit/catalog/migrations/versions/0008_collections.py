"""Collections, share links and what was done with them, which version plays, and how much everybody keeps."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
expands = False  # code of before counts nothing in `usage`, and takes every comment for a member's

MOMENT = sa.DateTime(timezone=True)
SORT_KEY = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
ALL = "(SELECT current_setting('mamkit.scope', true)) = 'all'"
WORKSPACES = "ANY (string_to_array((SELECT current_setting('mamkit.workspaces', true)), ',')::uuid[])"
POLICIES = {
    "collections": f"workspace_id = {WORKSPACES}",
    "collection_items": "EXISTS (SELECT 1 FROM collections WHERE collections.id = collection_id)",
    "share_links": f"workspace_id = {WORKSPACES}",
    "share_uses": "EXISTS (SELECT 1 FROM share_links WHERE share_links.id = link_id)",
}
SHARED = "(asset_id IS NULL) <> (collection_id IS NULL) AND (version_id IS NULL OR asset_id IS NOT NULL)"


def upgrade() -> None:
    """Make the tables, and count what is kept."""
    _make_collections()
    _make_links()
    with op.batch_alter_table("assets") as assets:
        assets.add_column(sa.Column("playing_number", sa.Integer))
    with op.batch_alter_table("comments") as comments:
        comments.alter_column("user_id", existing_type=sa.Uuid, nullable=True)
        comments.add_column(sa.Column("guest_name", sa.String(200)))
        comments.add_column(sa.Column("share_link_id", sa.Uuid))
        comments.create_foreign_key(
            op.f("fk_comments_share_link_id_share_links"),
            "share_links",
            ["share_link_id"],
            ["id"],
            ondelete="SET NULL",
        )
        comments.create_check_constraint("author", "(user_id IS NULL) <> (guest_name IS NULL)")
        comments.create_index(op.f("ix_comments_share_link_id"), ["share_link_id"])
    _make_usage()
    if op.get_bind().dialect.name == "postgresql":
        for table, seen in POLICIES.items():
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # for the tables' owner too
            op.execute(f"CREATE POLICY scope ON {table} USING ({ALL} OR {seen})")


def downgrade() -> None:
    """Forget what only this revision knows; what guests said goes with the links by which they came."""
    op.execute("DELETE FROM comments WHERE user_id IS NULL")
    with op.batch_alter_table("comments") as comments:
        comments.drop_index(op.f("ix_comments_share_link_id"))
        comments.drop_constraint(op.f("ck_comments_author"), type_="check")
        comments.drop_constraint(op.f("fk_comments_share_link_id_share_links"), type_="foreignkey")
        comments.drop_column("share_link_id")
        comments.drop_column("guest_name")
        comments.alter_column("user_id", existing_type=sa.Uuid, nullable=False)
    with op.batch_alter_table("assets") as assets:
        assets.drop_column("playing_number")
    for table in ("usage", "share_uses", "share_links", "collection_items", "collections"):
        op.drop_table(table)


def _make_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("position", SORT_KEY, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("filter", sa.JSON),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.ForeignKeyConstraint(["parent_id"], ["collections.id"], ondelete="CASCADE"),
    )
    for columns in (["workspace_id", "parent_id", "position", "id"], ["parent_id"], ["user_id"]):
        op.create_index(op.f(f"ix_collections_{'_'.join(columns)}"), "collections", columns)
    op.create_table(
        "collection_items",
        sa.Column("collection_id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("position", SORT_KEY, nullable=False),
        sa.Column("added_by", sa.Uuid),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "asset_id"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
    )
    for columns in (["collection_id", "position", "asset_id"], ["asset_id"]):
        op.create_index(op.f(f"ix_collection_items_{'_'.join(columns)}"), "collection_items", columns)


def _make_links() -> None:
    op.create_table(
        "share_links",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid),
        sa.Column("version_id", sa.Uuid),
        sa.Column("collection_id", sa.Uuid),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("rights", sa.JSON, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(SHARED, name="shared"),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], ondelete="CASCADE"),
    )
    for columns in (["workspace_id", "id"], ["user_id"], ["asset_id"], ["version_id"], ["collection_id"]):
        op.create_index(op.f(f"ix_share_links_{'_'.join(columns)}"), "share_links", columns)
    op.create_table(
        "share_uses",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("link_id", sa.Uuid, nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("asset_id", sa.Uuid),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["link_id"], ["share_links.id"], ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_share_uses_link_id_id"), "share_uses", ["link_id", "id"])


def _make_usage() -> None:
    op.create_table(
        "usage",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("assets", "trashed", "versions", "size")),
        sa.PrimaryKeyConstraint("workspace_id", "user_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_usage_user_id"), "usage", ["user_id"])
    op.execute(
        "INSERT INTO usage (workspace_id, user_id, assets, trashed, versions, size)"
        " SELECT workspace_id, user_id, count(*), sum(CASE WHEN trashed THEN 1 ELSE 0 END),"
        " coalesce(sum(masters), 0), coalesce(sum(bytes), 0)"
        " FROM assets LEFT JOIN"
        " (SELECT asset_id, count(*) AS masters, sum(size) AS bytes FROM versions GROUP BY asset_id) AS kept"
        " ON kept.asset_id = assets.id GROUP BY workspace_id, user_id"
    )
