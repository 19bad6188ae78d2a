"""Making the tables, and bringing them from one version of mamkit to the next.

Migrations lie in `mamkit/catalog/migrations`, inside the package; there is no `alembic.ini`. All functions are
synchronous, and any number of processes may call them at once: one works while the others wait, and then find nothing
left to do. Where nothing is left to do, as at nearly every start of a service, Alembic is not even loaded.

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
        if revision == "head" and (_is_newest(connection) or _newer_that_serves(connection)):
            return
        _refuse_unknown(connection)
        from mamkit.catalog import _steps  # noqa: PLC0415 - Alembic takes long to load

        _steps.forth(_FOLDER, connection, revision)
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
        from mamkit.catalog import _steps  # noqa: PLC0415 - as above

        _steps.back(_FOLDER, connection, revision)
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
        found, head = _revision(connection), revisions()[0]
        if found != head:
            raise SchemaOutdatedError(current=found, head=head)


def revisions() -> list[str]:
    """Return the revisions that this version of mamkit knows, the newest first; that is the one it needs."""
    return sorted((path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("*_*.py")), reverse=True)


def serves(revision: str) -> str:
    """Return the oldest revision whose code can use the tables of a revision: all migrations between only add.

    Args:
        revision: One of `revisions()`.
    """
    from mamkit.catalog import _steps  # noqa: PLC0415 - as above

    return _steps.served_by(_FOLDER, revision)


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
        raise CatalogUnavailableError(_place(engine.url)) from error
    finally:
        engine.dispose()


def _place(url: sa.URL) -> str:
    """Return where a database is, without a name or a password of whoever uses it."""
    if url.host is None:
        return str(url.database)
    return f"{url.host}:{url.port or 5432}/{url.database}"  # PostgreSQL's port, unless another is given


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(sa.select(_VERSION.c.version_num))


def _is_newest(connection: sa.Connection) -> bool:
    return _revision(connection) == revisions()[0] and _has_column(connection)


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
