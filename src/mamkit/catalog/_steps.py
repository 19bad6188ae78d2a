"""The steps from one revision to the next, which are Alembic's.

Loading Alembic takes longer than a service takes to see that its tables are as they should be, so that `migrate` loads
this module only when there is something to do.
"""

from pathlib import Path

import sqlalchemy as sa

from mamkit.errors import MissingExtraError

try:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
except ImportError as error:
    raise MissingExtraError("catalog", package="alembic") from error

__all__ = ["back", "forth", "served_by"]


def forth(folder: Path, connection: sa.Connection, revision: str) -> None:
    """Take the steps up to a revision."""
    command.upgrade(_config(folder, connection), revision)


def back(folder: Path, connection: sa.Connection, revision: str) -> None:
    """Take the steps back to a revision."""
    command.downgrade(_config(folder, connection), revision)


def served_by(folder: Path, revision: str) -> str:
    """Return the oldest revision whose code can use the tables of a revision: all steps between only add."""
    scripts = ScriptDirectory.from_config(_config(folder))
    while True:
        script = scripts.get_revision(revision)
        below = script.down_revision
        if not getattr(script.module, "expands", False) or not isinstance(below, str):
            return revision
        revision = below


def _config(folder: Path, connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))  # ConfigParser interpolates
    config.attributes["connection"] = connection
    return config
