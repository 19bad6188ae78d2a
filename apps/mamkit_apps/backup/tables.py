"""The rows of the catalog as JSON lines, from one moment, for either kind of database.

Which tables there are is asked of SQLAlchemy's metadata when rows are read, and of the database itself when they are
written, so that a new table needs no line here. A backup says of which kind each column is: it can be read by a later
version of mamkit, and by the other kind of database.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from mamkit.catalog import CatalogUnavailableError, sync_engine
from mamkit.catalog.models import Base
from mamkit.catalog.types import UTCDateTime

__all__ = ["connected", "dumped", "filled_tables", "load", "one_moment", "table_kinds"]

UNREACHABLE = (sa.exc.OperationalError, sa.exc.InterfaceError)
MADE_ANEW = {"roles", "event_counter"}  # by every start of the API, and by the migrations
ROWS = 500  # that are in memory at once

Kinds = Mapping[str, str]
"""Which kind each column of a table is, by its name."""

# By the Python type of a column's values. A type that is not here fails the test that dumps every table.
KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    str: "text",
    bytes: "bytes",
    UUID: "uuid",
    datetime: "moment",
}
TYPES: dict[str, Callable[[], sa.types.TypeEngine[Any]]] = {
    "boolean": sa.Boolean,
    "integer": sa.BigInteger,
    "float": sa.Double,
    "text": sa.Text,
    "bytes": sa.LargeBinary,
    "uuid": sa.Uuid,
    "moment": UTCDateTime,
    "json": lambda: sa.JSON(none_as_null=True),
}
ENCODE: dict[str, Callable[[Any], Any]] = {
    "bytes": lambda value: base64.b64encode(value).decode(),
    "uuid": str,
    "moment": lambda value: value.isoformat(),
}
DECODE: dict[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "uuid": UUID,
    "moment": datetime.fromisoformat,
}


def table_kinds() -> dict[str, dict[str, str]]:
    """Return the tables of the catalog, those before that others refer to, with the kinds of their columns.

    What the database computes itself is left out.
    """
    return {
        table.name: {column.name: _kind(column) for column in table.columns if column.computed is None}
        for table in Base.metadata.sorted_tables
    }


def _kind(column: sa.Column[Any]) -> str:
    plain = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
    return "json" if isinstance(plain, sa.JSON) else KINDS[plain.python_type]


@contextmanager
def one_moment(url: str) -> Iterator[sa.Connection]:
    """Open a transaction that sees the database as it is now, whatever others write meanwhile; it holds up nobody.

    PostgreSQL's `REPEATABLE READ`, and SQLite's write-ahead log, keep the old rows for as long as it is open.

    Raises:
        CatalogUnavailableError: The database does not answer.
    """
    engine = sync_engine(url)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")  # pysqlite begins by itself only where something is written
            else:
                connection = connection.execution_options(  # noqa: PLW2901 - the same one, with options
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield connection
            connection.rollback()
    except UNREACHABLE as error:
        raise CatalogUnavailableError from error
    finally:
        engine.dispose()


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """Open one transaction that writes, committed at the end of the block, rolled back if an error leaves it.

    Raises:
        CatalogUnavailableError: The database does not answer, or others kept it busy.
    """
    engine = sync_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    except UNREACHABLE as error:
        raise CatalogUnavailableError from error
    finally:
        engine.dispose()


def dumped(connection: sa.Connection, name: str, kinds: Kinds) -> Iterator[list[Any]]:
    """Yield the rows of a table, each as a list in the order of `kinds`.

    Args:
        connection: Of `one_moment`.
        name: The table.
        kinds: Its columns.
    """
    table = Base.metadata.tables[name]
    encoders = [ENCODE.get(kind, _same) for kind in kinds.values()]
    query = sa.select(*(table.c[column] for column in kinds)).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=ROWS).execute(query):
        yield [None if value is None else encode(value) for encode, value in zip(encoders, row, strict=True)]


def filled_tables(connection: sa.Connection) -> list[str]:
    """Return which tables hold something that cannot be made again."""
    names = [name for name in table_kinds() if name not in MADE_ANEW and sa.inspect(connection).has_table(name)]
    return [name for name in names if connection.execute(sa.select(1).select_from(sa.table(name)).limit(1)).first()]


def load(
    connection: sa.Connection, tables: Mapping[str, Kinds], rows: Callable[[str], Iterable[Sequence[Any]]]
) -> dict[str, int]:
    """Put rows into tables that are there, in place of all that is in them; return how many by table.

    A reference to a row that comes later, in the same table or in one of a ring, is filled in once all are there.

    Args:
        connection: Of `connected`.
        tables: The columns of each table, and their kinds.
        rows: Gives the rows of a table, whenever it is asked.
    """
    inspector = sa.inspect(connection)
    order = [name for name, _ in inspector.get_sorted_table_and_fkc_names() if name is not None and name in tables]
    for name in reversed(order):
        connection.execute(sa.delete(sa.table(name)))
    later = {name: _refers_on(inspector, name, order[:position]) for position, name in enumerate(order)}
    counts = {name: _insert(connection, name, tables[name], rows(name), later[name]) for name in order}
    for name in order:
        if later[name]:
            _fill_in(connection, name, tables[name], rows(name), later[name])
        _go_on_counting(connection, name)
    return counts


def _refers_on(inspector: sa.Inspector, name: str, before: Sequence[str]) -> set[str]:
    """Return the columns of a table that refer to rows which are not there yet when its own are put in."""
    keys = inspector.get_foreign_keys(name)
    return {column for key in keys if key["referred_table"] not in before for column in key["constrained_columns"]}


def _insert(connection: sa.Connection, name: str, kinds: Kinds, rows: Iterable[Sequence[Any]], later: set[str]) -> int:
    table = sa.table(name, *(sa.column(column, TYPES[kind]()) for column, kind in kinds.items()))
    count = 0
    for batch in _batches(_decoded(kinds, rows)):
        values = [row | dict.fromkeys(later & row.keys()) for row in batch]
        connection.execute(sa.insert(table), values)
        count += len(batch)
    return count


def _fill_in(
    connection: sa.Connection,
    name: str,
    kinds: Kinds,
    rows: Iterable[Sequence[Any]],
    later: set[str],
) -> None:
    table = sa.table(name, *(sa.column(column, TYPES[kind]()) for column, kind in kinds.items()))
    keys = sa.inspect(connection).get_pk_constraint(name)["constrained_columns"]
    statement = (
        sa.update(table)
        .where(*(table.c[key] == sa.bindparam(f"key_{key}", type_=table.c[key].type) for key in keys))
        .values({column: sa.bindparam(f"new_{column}", type_=table.c[column].type) for column in later})
    )
    for batch in _batches(row for row in _decoded(kinds, rows) if any(row[column] is not None for column in later)):
        connection.execute(
            statement,
            [
                {f"key_{key}": row[key] for key in keys} | {f"new_{column}": row[column] for column in later}
                for row in batch
            ],
        )


def _go_on_counting(connection: sa.Connection, name: str) -> None:
    """Let PostgreSQL number new rows after those that were put in."""
    if connection.dialect.name != "postgresql":
        return  # SQLite takes the largest number and one
    for column in sa.inspect(connection).get_columns(name):
        sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(name, column["name"])))
        if sequence is not None:
            largest = sa.select(sa.func.max(sa.column(column["name"]))).select_from(sa.table(name)).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(largest, 0) + 1, False)))


def _decoded(kinds: Kinds, rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    decoders = [DECODE.get(kind, _same) for kind in kinds.values()]
    for row in rows:
        values = (None if value is None else decode(value) for decode, value in zip(decoders, row, strict=True))
        yield dict(zip(kinds, values, strict=True))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _same(value: Any) -> Any:
    return value
