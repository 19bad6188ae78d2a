"""A later version of mamkit: this one, with a column that it uses, and more in its jobs and in its reports."""

import shutil
from pathlib import Path

from mamkit.catalog.migrate import revisions
from tests.architecture.sources import ROOT

__all__ = ["REVISION", "make_next_version"]

REVISION = "9001"
MIGRATION = '''"""A column that the version before does not know."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
expands = True


def upgrade() -> None:
    """Add the column."""
    op.add_column("versions", sa.Column("mood", sa.String(16), nullable=False, server_default="calm"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("versions", "mood")
'''
CHANGES = (
    (
        "src/mamkit/catalog/models.py",
        "    preview_prefix: Mapped[str] = mapped_column(_KEY)\n",
        '    mood: Mapped[str] = mapped_column(default="bright", server_default="calm")\n',
    ),
    ("src/mamkit/previews/messages.py", "    version_id: UUID\n    master_key: str\n", '    hint: str = "gently"\n'),
    ("src/mamkit/previews/messages.py", '    type: Literal["planned"] = "planned"\n', "    pace: float = 1.0\n"),
)
"""File, a line of it (with what precedes it), and what a later version has behind that."""


def make_next_version(folder: Path) -> Path:
    """Write the later version into a folder, and return what PYTHONPATH has to be for it to run."""
    for packages in ("src", "apps"):
        shutil.copytree(ROOT / packages, folder / packages, ignore=shutil.ignore_patterns("__pycache__"))
    for name, line, more in CHANGES:
        path = folder / name
        text = path.read_text("utf-8")
        assert line in text, f"{name} has changed; so must this file"
        path.write_text(text.replace(line, line + more, 1), "utf-8")
    migration = MIGRATION.format(revision=REVISION, before=revisions()[0])
    (folder / "src" / "mamkit" / "catalog" / "migrations" / "versions" / "9001_next.py").write_text(migration)
    return folder
