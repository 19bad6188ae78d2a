"""How PostgreSQL is asked a question in one round trip, past sessions.

A question is worded once for each scope, and goes to the driver together with the settings that the policies of rows
look at: they hold for what is sent at once with them, and for nothing after it (PostgreSQL 14 documentation, section
34.5, "pipeline mode": what is sent up to a synchronisation point is one transaction).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.util import await_only, greenlet_spawn

from mamkit.catalog.questions import Question
from mamkit.catalog.scope import SETTINGS, Scope, criteria
from mamkit.clock import Clock

__all__ = ["Wording", "ask_at_once", "wording_of"]

WORDINGS = 1024  # kept, some 10 KiB each: making one takes longer than the database takes to answer

_SET = "SELECT " + ", ".join(f"set_config('{name}', %s, true)" for name in SETTINGS)


class Wording(NamedTuple):
    """A question as PostgreSQL's driver takes it."""

    text: str
    fixed: Mapping[str, object]
    """Parameters that are part of the question, or of the scope."""
    timed: Mapping[str, Callable[[], object]]
    """Those that are new each time."""
    readers: Sequence[tuple[int, Callable[[Any], Any]]]
    """What makes a column's value of what the driver gives, by the number of the column."""


@lru_cache(maxsize=WORDINGS)
def wording_of(question: Question[*tuple[Any, ...]], scope: Scope | None, clock: Clock, dialect: sa.Dialect) -> Wording:
    """Return a question as it is asked within a scope; the condition of the scope is part of it."""
    statement = question.statement if scope is None else question.statement.options(*criteria(scope, clock))
    compiled: Any = statement.compile(dialect=dialect)
    given = {name for bind, name in compiled.bind_names.items() if bind.required}
    expanded = compiled.construct_expanded_state(dict.fromkeys(given))
    timed = {name: bind.callable for bind, name in compiled.bind_names.items() if bind.callable is not None}
    fixed = {name: value for name, value in expanded.parameters.items() if name not in given and name not in timed}
    # The driver reads what PostgreSQL knows by itself; our own types say what is still to be done.
    readers = [
        (at, read)
        for at, column in enumerate(question.statement.selected_columns)
        if isinstance(column.type, sa.TypeDecorator)
        and (read := column.type.result_processor(dialect, None)) is not None
    ]
    return Wording(expanded.statement, fixed, timed, readers)


async def ask_at_once(
    engine: sa.Engine, wording: Wording, given: Mapping[str, object], settings: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    """Return the rows that PostgreSQL finds; a connection that fails at it is given up.

    Args:
        engine: Whose driver is psycopg's asynchronous one, and whose connections commit by themselves.
        wording: What is asked.
        given: The parameters of the question.
        settings: Values of `SETTINGS`; None leaves those of the connection.

    Raises:
        Exception: Whatever the driver or the pool raises.
    """
    parameters = {**wording.fixed, **given, **{name: make() for name, make in wording.timed.items()}}

    def ask() -> list[tuple[Any, ...]]:
        connection = engine.pool.connect()
        try:
            rows = await_only(_send(connection.driver_connection, wording.text, parameters, settings))
        except BaseException:
            connection.invalidate()  # nobody knows what it is in the middle of
            raise
        finally:
            connection.close()
        return rows

    rows = await greenlet_spawn(ask)
    if not wording.readers:
        return rows
    return [_read(row, wording.readers) for row in rows]


async def _send(
    connection: Any, text: str, parameters: Mapping[str, object], settings: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    if settings is None:
        cursor = await connection.execute(text, parameters, binary=True)
    else:
        async with connection.pipeline():
            await connection.execute(_SET, settings)
            cursor = await connection.execute(text, parameters, binary=True)
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    return rows


def _read(row: tuple[Any, ...], readers: Sequence[tuple[int, Callable[[Any], Any]]]) -> tuple[Any, ...]:
    values = list(row)
    for at, read in readers:
        values[at] = read(values[at])
    return tuple(values)
