"""Logins: API keys, second factors, passkeys, other services, verified addresses, open logins; and shares."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
SHA256 = sa.String(64)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "email_verifications",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("verified_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        _of_user(),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", SHA256, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        _of_user(),
    )
    _index("api_keys", "user_id")
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("sealed_secret", sa.Text, nullable=False),
        sa.Column("last_step", sa.Integer),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
        _of_user(),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("digest", SHA256, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "digest"),
        _of_user(),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(1023), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.Integer, nullable=False),
        sa.Column("last_used_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        _of_user(),
        sa.UniqueConstraint("credential_id"),
    )
    _index("passkeys", "user_id")
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider", "subject"),
        _of_user(),
    )
    _index("identities", "user_id")
    op.create_table(
        "shares",
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("actions", sa.JSON, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "user_id"),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
        _of_user(),
    )
    _index("shares", "user_id")
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_failed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    _index("login_attempts", "last_failed_at")
    op.create_table(
        "login_flows",
        sa.Column("digest", SHA256, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    _index("login_flows", "expires_at")


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "login_flows",
        "login_attempts",
        "shares",
        "identities",
        "passkeys",
        "recovery_codes",
        "second_factors",
        "api_keys",
        "email_verifications",
    ):
        op.drop_table(table)


def _of_user() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE")


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
