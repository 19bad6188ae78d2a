"""The first tables: users and sessions, assets and versions, previews and parts, comments, audit events."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KEY = sa.String(1024)
STATUS = sa.String(16)
SHA256 = sa.String(64)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("display_name", sa.String(200), nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("status", STATUS, nullable=False),
        sa.Column("authz_version", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("status IN ('active', 'disabled')", name="status"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "role_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["role_id"], ["roles.id"], ondelete="CASCADE"),
    )
    _index("user_roles", "role_id")
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("jti", sa.Uuid, nullable=False),
        sa.Column("family", sa.Uuid, nullable=False),
        sa.Column("refresh_token_hash", SHA256, nullable=False),
        sa.Column("parent_jti", sa.Uuid),
        sa.Column("replaced_by_jti", sa.Uuid),
        sa.Column("replaced_at", MOMENT),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("jti"),
        sa.UniqueConstraint("refresh_token_hash"),
    )
    for column in ("user_id", "family", "expires_at"):
        _index("sessions", column)
    op.create_table(
        "assets",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.String(500), nullable=False),
        sa.Column("staging_key", KEY, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", SHA256),
        sa.Column("content_type", sa.String(255)),
        sa.Column("original_name", sa.String(1024)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.UniqueConstraint("staging_key"),
    )
    _index("assets", "user_id", "id")
    op.create_table(
        "versions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("master_key", KEY, nullable=False),
        sa.Column("preview_prefix", KEY, nullable=False),
        sa.Column("metadata", sa.JSON),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_id", "number"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"]),
        sa.UniqueConstraint("master_key"),
    )
    op.create_table(
        "previews",
        sa.Column("version_id", sa.Uuid, nullable=False),
        sa.Column("status", STATUS, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("plan", sa.JSON),
        sa.Column("failure_code", sa.String(100)),
        sa.Column("failure", sa.String),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("playable_at", MOMENT),
        sa.Column("ready_at", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("status IN ('queued', 'building', 'playable', 'ready', 'failed')", name="status"),
        sa.PrimaryKeyConstraint("version_id"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], ondelete="CASCADE"),
    )
    _index("previews", "status", "updated_at")
    op.create_table(
        "parts",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version_id", sa.Uuid, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", STATUS, nullable=False),
        sa.Column("job_id", sa.Uuid),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.UniqueConstraint("version_id", "index"),
        sa.CheckConstraint("status IN ('waiting', 'running', 'done', 'failed')", name="status"),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["version_id"], ["previews.version_id"], ondelete="CASCADE"),
    )
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("timestamp_sec", sa.Double),
        sa.Column("content", sa.String, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("timestamp_sec >= 0", name="timestamp_sec"),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
    )
    _index("comments", "asset_id", "id")
    _index("comments", "user_id")
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("actor_id", sa.Uuid),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("audit_events", "subject", "id")
    _index("audit_events", "actor_id")


def downgrade() -> None:
    """Drop the tables, those that refer to others first."""
    for table in (
        "audit_events",
        "comments",
        "parts",
        "previews",
        "versions",
        "assets",
        "sessions",
        "user_roles",
        "roles",
        "users",
    ):
        op.drop_table(table)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
