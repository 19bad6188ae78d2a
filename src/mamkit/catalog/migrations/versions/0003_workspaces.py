"""Workspaces: a personal one for everybody, which takes their assets; and on PostgreSQL the policies of rows."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)

ALL = "(SELECT current_setting('mamkit.scope', true)) = 'all'"
WORKSPACES = "ANY (string_to_array((SELECT current_setting('mamkit.workspaces', true)), ',')::uuid[])"
NOW = "(SELECT current_setting('mamkit.now', true))::timestamptz"
SEEN_ASSET = f"""
    workspace_id = {WORKSPACES}
    OR id = ANY (string_to_array((SELECT current_setting('mamkit.assets', true)), ',')::uuid[])
    OR id IN (
        SELECT asset_id FROM shares
        WHERE user_id = nullif((SELECT current_setting('mamkit.actor', true)), '')::uuid
        AND (expires_at IS NULL OR expires_at > {NOW})
    )
"""  # noqa: S608 - of constants
POLICIES = {
    "workspaces": f"id = {WORKSPACES}",
    "memberships": f"workspace_id = {WORKSPACES}",
    "assets": SEEN_ASSET,
    "versions": "EXISTS (SELECT 1 FROM assets WHERE assets.id = asset_id)",
    "previews": "EXISTS (SELECT 1 FROM versions WHERE versions.id = version_id)",
    "parts": "EXISTS (SELECT 1 FROM versions WHERE versions.id = version_id)",
    "comments": "EXISTS (SELECT 1 FROM assets WHERE assets.id = asset_id)",
}


def upgrade() -> None:
    """Make the tables, and move the assets of everybody into their personal workspace."""
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("kind IN ('personal', 'shared')", name="kind"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "memberships",
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'editor', 'reviewer', 'viewer')", name="role"),
        sa.PrimaryKeyConstraint("workspace_id", "user_id"),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    )
    op.create_index(op.f("ix_memberships_user_id"), "memberships", ["user_id"])
    op.execute(
        "INSERT INTO workspaces (id, name, kind, created_at) SELECT id, 'Personal', 'personal', created_at FROM users"
    )
    op.execute(
        "INSERT INTO memberships (workspace_id, user_id, role, created_at)"
        " SELECT id, id, 'owner', created_at FROM users"
    )
    with op.batch_alter_table("assets") as assets:
        assets.add_column(sa.Column("workspace_id", sa.Uuid))
    op.execute("UPDATE assets SET workspace_id = user_id")
    with op.batch_alter_table("assets") as assets:
        assets.alter_column("workspace_id", existing_type=sa.Uuid, nullable=False)
        assets.create_foreign_key(op.f("fk_assets_workspace_id_workspaces"), "workspaces", ["workspace_id"], ["id"])
        assets.create_index(op.f("ix_assets_workspace_id_id"), ["workspace_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        for table, seen in POLICIES.items():
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # for the tables' owner too
            op.execute(f"CREATE POLICY scope ON {table} USING ({ALL} OR {seen})")


def downgrade() -> None:
    """Forget who works together; assets stay with their owners."""
    if op.get_bind().dialect.name == "postgresql":
        for table in reversed(POLICIES):
            op.execute(f"DROP POLICY scope ON {table}")
            op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    with op.batch_alter_table("assets") as assets:
        assets.drop_index(op.f("ix_assets_workspace_id_id"))
        assets.drop_constraint(op.f("fk_assets_workspace_id_workspaces"), type_="foreignkey")
        assets.drop_column("workspace_id")
    op.drop_table("memberships")
    op.drop_table("workspaces")
