"""Making the tables, and bringing them from one version of mamkit to the next.

Migrations lie in `mamkit/catalog/migrations`, inside the package; there is no `alembic.ini`. All functions are
synchronous, and any number of processes may call them at once: one works while the others wait, and then find nothing
left to do.

Old and new versions of mamkit run side by side while an installation is upgraded. A migration that says
`expands = True` only adds: code of the revision before it goes on using the tables. How far back that reaches is kept
beside the revision, so that older code, which has no such migration, can tell whether newer tables serve it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from mamkit.catalog.engine import migration_engine
from mamkit.catalog.errors import CatalogUnavailableError, SchemaError, SchemaOutdatedError, SchemaUnknownError
from mamkit.errors import MissingExtraError

try:
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
except ImportError as error:
    raise MissingExtraError("catalog", package="alembic") from error

__all__ = ["check", "current", "downgrade", "revisions", "serves", "upgrade"]

_FOLDER = Path(__file__).with_name("migrations")
_PATIENCE = 600.0  # seconds to wait for another process that migrates, which may rebuild large tables
_SERVES: sa.ColumnClause[str] = sa.column("serves")  # beside Alembic's own in its table
_VERSION = sa.table("alembic_version", sa.column("version_num"), _SERVES)
_LOCK = 0x6D616D6B6974  # "mamkit": PostgreSQL's advisory lock of whoever migrates


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the tables up to a revision, in one transaction: an error or a crash leaves them as they were.

    Newer tables that serve this version of mamkit are left as they are.

    Args:
        url: As for `Catalog`, with its errors.
        revision: Up to which; the newest if not given.

    Raises:
        SchemaUnknownError: The tables are of a revision that this version of mamkit does not know, and do not serve it;
            or they do, and `revision` is not `head`.
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        if revision == "head" and _newer_that_serves(connection):
            return
        _refuse_unknown(connection)
        command.upgrade(_config(connection), revision)
        _check_foreign_keys(connection)
        _note_what_is_served(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the tables back to an older revision, or to `base`, without any; what only newer ones hold is lost.

    Raises:
        SchemaUnknownError: The tables are of a revision that this version of mamkit does not know, so that it cannot
            tell what to take away.
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        _refuse_unknown(connection)
        command.downgrade(_config(connection), revision)
        _check_foreign_keys(connection)
        _note_what_is_served(connection)


def current(url: str) -> str | None:
    """Return the revision of the tables, None if there are none.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        return _revision(connection)


def check(url: str) -> None:
    """Return if the tables are those that this version of mamkit needs, or newer ones that serve it.

    Raises:
        SchemaOutdatedError: They are older, or not there.
        SchemaUnknownError: They are newer, and do not serve this version.
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        if _newer_that_serves(connection):
            return
        _refuse_unknown(connection)
        found = _revision(connection)
        head = _scripts().get_current_head()
        if head is not None and found != head:
            raise SchemaOutdatedError(current=found, head=head)


def revisions() -> list[str]:
    """Return the revisions that this version of mamkit knows, the newest first; that is the one it needs."""
    return [script.revision for script in _scripts().walk_revisions()]


def serves(revision: str) -> str:
    """Return the oldest revision whose code can use the tables of a revision: all migrations between only add.

    Args:
        revision: One of `revisions()`.
    """
    scripts = _scripts()
    while True:
        script = scripts.get_revision(revision)
        below = script.down_revision
        if not getattr(script.module, "expands", False) or not isinstance(below, str):
            return revision
        revision = below


@contextmanager
def _transaction(url: str) -> Iterator[sa.Connection]:
    """Open the one transaction that may migrate."""
    engine = migration_engine(url, patience=_PATIENCE)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise CatalogUnavailableError from error
    finally:
        engine.dispose()


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))  # ConfigParser interpolates
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(connection: sa.Connection) -> None:
    found = _revision(connection)
    if found is not None and found not in revisions():
        raise SchemaUnknownError(found)


def _newer_that_serves(connection: sa.Connection) -> bool:
    """Return whether the tables are of a later version of mamkit, which has left room for this one."""
    found = _revision(connection)
    if found is None or found in revisions() or not _has_column(connection):
        return False
    return connection.scalar(sa.select(_SERVES).select_from(_VERSION)) in revisions()


def _note_what_is_served(connection: sa.Connection) -> None:
    found = _revision(connection)
    if not _has_column(connection):
        connection.execute(sa.text("ALTER TABLE alembic_version ADD COLUMN serves VARCHAR(32)"))
    if found is not None:  # without a revision there is no row
        connection.execute(sa.update(_VERSION).values(serves=serves(found)))


def _has_column(connection: sa.Connection) -> bool:
    return any(column["name"] == "serves" for column in sa.inspect(connection).get_columns("alembic_version"))


def _check_foreign_keys(connection: sa.Connection) -> None:
    """Refuse a migration after which a row refers to nothing: SQLite did not look while it ran."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise SchemaError(
                f"the migration would leave rows of {broken[0]} without their {broken[2]}; nothing changed"
            )
