"""An index by the digest of a master's bytes."""
# ruff: noqa: INP001 - Alembic loads it by its path; importing it would make no sense

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
expands = True  # code of the revision before goes on using the tables


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_versions_sha256", "versions", ["sha256"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_versions_sha256", "versions")
