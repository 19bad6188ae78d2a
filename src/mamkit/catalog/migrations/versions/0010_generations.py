"""Generations of a preview: one is built anew while the one before still plays, and is removed some time after."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
expands = False  # code of before takes the files of a preview for those of its only generation

KEY = sa.String(1024)
ADDED = ("generation", "prefix", "serving")


def upgrade() -> None:
    """Make the columns and the table."""
    op.add_column("previews", sa.Column("generation", sa.Integer, nullable=False, server_default="1"))
    op.add_column("previews", sa.Column("prefix", KEY, nullable=True))
    op.add_column("previews", sa.Column("serving", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "leftovers",
        sa.Column("prefix", KEY, nullable=False),
        sa.Column("asset_id", sa.Uuid, nullable=False),
        sa.Column("remove_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("prefix"),
    )
    op.create_index(op.f("ix_leftovers_asset_id"), "leftovers", ["asset_id"])
    op.create_index(op.f("ix_leftovers_remove_at"), "leftovers", ["remove_at"])


def downgrade() -> None:
    """Drop them; what is being built anew begins again, and `mamkit gc` finds what is left of it."""
    op.drop_index(op.f("ix_leftovers_remove_at"), "leftovers")
    op.drop_index(op.f("ix_leftovers_asset_id"), "leftovers")
    op.drop_table("leftovers")
    for column in ADDED:
        op.drop_column("previews", column)
