"""Imports: media that is brought in from URLs, watched folders and watched buckets."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
expands = True  # code of before does not know the table, and need not

MOMENT = sa.DateTime(timezone=True)
# As in migration 0003, whose policies this continues.
ALL = "(SELECT current_setting('mamkit.scope', true)) = 'all'"
WORKSPACES = "ANY (string_to_array((SELECT current_setting('mamkit.workspaces', true)), ',')::uuid[])"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "imports",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("workspace_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("new_asset", sa.Boolean, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(1024), nullable=False),
        sa.Column("sealed", sa.Text),
        sa.Column("origin", sa.String(64)),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("skip_known", sa.Boolean, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("lease", sa.Uuid),
        sa.Column("lease_until", MOMENT),
        sa.Column("transfer", sa.JSON),
        sa.Column("failure_code", sa.String(100)),
        sa.Column("failure", sa.String(500)),
        sa.Column("version_id", sa.Uuid),
        sa.Column("duplicate", sa.Boolean, nullable=False),
        sa.Column("told_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.CheckConstraint("kind IN ('url', 'folder', 'bucket')", name="kind"),
        sa.CheckConstraint("state IN ('waiting', 'running', 'storing', 'done', 'failed', 'cancelled')", name="state"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("origin", name=op.f("uq_imports_origin")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_imports_workspace_id_workspaces"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_imports_user_id_users"), ondelete="CASCADE"),
    )
    for columns in (
        ["workspace_id", "id"],
        ["user_id", "state"],
        ["user_id", "sha256"],
        ["kind", "state", "due_at"],
        ["ended_at"],
    ):
        op.create_index(op.f(f"ix_imports_{'_'.join(columns)}"), "imports", columns)
    left = sa.text("transfer IS NOT NULL AND ended_at IS NOT NULL")
    op.create_index("ix_imports_left", "imports", ["id"], postgresql_where=left, sqlite_where=left)
    unsettled = sa.text("origin IS NOT NULL AND ended_at IS NOT NULL")
    op.create_index(
        "ix_imports_unsettled", "imports", ["kind", "id"], postgresql_where=unsettled, sqlite_where=unsettled
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE imports ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE imports FORCE ROW LEVEL SECURITY")  # for the table's owner too
        op.execute(f"CREATE POLICY scope ON imports USING ({ALL} OR workspace_id = {WORKSPACES})")


def downgrade() -> None:
    """Drop it; what was under way is not gone on with, and `mamkit gc` finds what is left of it."""
    op.drop_table("imports")
