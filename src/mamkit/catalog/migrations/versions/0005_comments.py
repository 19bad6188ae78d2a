"""Comments over ranges, in threads, with drawings, that can be resolved."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("comments") as comments:
        comments.add_column(sa.Column("parent_id", sa.Uuid))
        comments.add_column(sa.Column("end_sec", sa.Double))
        comments.add_column(sa.Column("drawing", sa.JSON))
        comments.add_column(sa.Column("resolved_at", MOMENT))
        comments.add_column(sa.Column("resolved_by", sa.Uuid))
        comments.add_column(sa.Column("edited_at", MOMENT))
        comments.create_foreign_key(
            op.f("fk_comments_parent_id_comments"), "comments", ["parent_id"], ["id"], ondelete="CASCADE"
        )
        comments.create_check_constraint("end_sec", "end_sec > timestamp_sec")
        comments.create_index(op.f("ix_comments_parent_id"), ["parent_id"])


def downgrade() -> None:
    """Forget ranges, threads, drawings and what was resolved; every comment stays."""
    with op.batch_alter_table("comments") as comments:
        comments.drop_index(op.f("ix_comments_parent_id"))
        comments.drop_constraint(op.f("ck_comments_end_sec"), type_="check")
        comments.drop_constraint(op.f("fk_comments_parent_id_comments"), type_="foreignkey")
        for column in ("parent_id", "end_sec", "drawing", "resolved_at", "resolved_by", "edited_at"):
            comments.drop_column(column)
