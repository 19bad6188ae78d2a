"""Making the tables, and bringing them from one version of mamkit to the next.

Migrations lie in `mamkit/catalog/migrations`, inside the package; there is no `alembic.ini`. All functions are
synchronous, and any number of processes may call them at once: one works while the others wait, and then find nothing
left to do.
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

__all__ = ["check", "current", "downgrade", "revisions", "upgrade"]

_FOLDER = Path(__file__).with_name("migrations")
_PATIENCE = 600.0  # seconds to wait for another process that migrates, which may rebuild large tables
_LOCK = 0x6D616D6B6974  # "mamkit": PostgreSQL's advisory lock of whoever migrates


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the tables up to a revision, in one transaction: an error or a crash leaves them as they were.

    Args:
        url: As for `Catalog`, with its errors.
        revision: Up to which; the newest if not given.

    Raises:
        SchemaUnknownError: The tables are of a revision that this version of mamkit does not know.
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        _refuse_unknown(connection)
        command.upgrade(_config(connection), revision)
        _check_foreign_keys(connection)


def downgrade(url: str, revision: str) -> None:
    """Take the tables back to an older revision, or to `base`, without any; what only newer ones hold is lost.

    Errors as for `upgrade`.
    """
    with _transaction(url) as connection:
        _refuse_unknown(connection)
        command.downgrade(_config(connection), revision)
        _check_foreign_keys(connection)


def current(url: str) -> str | None:
    """Return the revision of the tables, None if there are none.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        return _revision(connection)


def check(url: str) -> None:
    """Return if the tables are those that this version of mamkit needs.

    Raises:
        SchemaOutdatedError: They are older, or not there.
        SchemaUnknownError: They are newer.
        CatalogUnavailableError: The database does not answer.
    """
    with _transaction(url) as connection:
        _refuse_unknown(connection)
        found = _revision(connection)
        head = _scripts().get_current_head()
        if head is not None and found != head:
            raise SchemaOutdatedError(current=found, head=head)


def revisions() -> list[str]:
    """Return the revisions that this version of mamkit knows, the newest first; that is the one it needs."""
    return [script.revision for script in _scripts().walk_revisions()]


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


def _check_foreign_keys(connection: sa.Connection) -> None:
    """Refuse a migration after which a row refers to nothing: SQLite did not look while it ran."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise SchemaError(
                f"the migration would leave rows of {broken[0]} without their {broken[2]}; nothing changed"
            )
