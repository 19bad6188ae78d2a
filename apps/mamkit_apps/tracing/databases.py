"""A span for each statement that a request or a job sends to a database, by the events of SQLAlchemy.

It says which kind of statement on which table, and neither its text nor its values.
"""

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from mamkit_apps.tracing.entries import current_entry

__all__ = ["Statements", "summary_of"]

STARTED = "mamkit_trace_started"  # in the info of a connection: when its statement began, on the performance counter
TARGET = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?(\w+)', re.IGNORECASE)
CHANGE = re.compile(r"\)\s*(INSERT|UPDATE|DELETE)\b.*", re.IGNORECASE | re.DOTALL)  # after a common table expression


class Statements:
    """Hears of the statements of every engine of this process.

    Args:
        tell: Is told of each that was sent for a request or a job: `Tracing.detail`.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._detail = tell
        self._events = (
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("handle_error", self._failed),
        )

    def listen(self) -> None:
        """Begin to."""
        for name, listener in self._events:
            event.listen(Engine, name, listener)

    def stop(self) -> None:
        """Do so no more."""
        for name, listener in self._events:
            event.remove(Engine, name, listener)

    # SQLAlchemy tells how to call a listener by the number of its parameters.

    def _before(self, connection: Connection, _: Any, __: str, ___: Any, ____: Any, _____: bool) -> None:
        if current_entry() is not None:
            connection.info[STARTED] = time.perf_counter()

    def _after(self, connection: Connection, _: Any, statement: str, __: Any, ___: Any, ____: bool) -> None:
        self._tell(connection, statement, None)

    def _failed(self, context: ExceptionContext) -> None:
        if context.connection is not None and context.statement is not None:
            self._tell(context.connection, context.statement, type(context.original_exception).__name__)

    def _tell(self, connection: Connection, statement: str, error: str | None) -> None:
        started = connection.info.pop(STARTED, None)
        if started is None:
            return
        operation, target = summary_of(statement)
        name = f"{operation} {target}".strip()
        attributes = {
            "db.system.name": connection.dialect.name,
            "db.operation.name": operation,
            "db.query.summary": name,
        }
        self._detail(name, seconds=time.perf_counter() - started, attributes=attributes, error=error)


@lru_cache(maxsize=1024)
def summary_of(statement: str) -> tuple[str, str]:
    """Return the kind of a statement, and the first table that it names."""
    text = statement.lstrip()
    if text[:4].upper() == "WITH" and (change := CHANGE.search(text)):
        text = change[0].lstrip(") \n")
    operation = re.match(r"\w*", text)
    target = TARGET.search(text) if text[:5].upper() != "BEGIN" else None
    return (operation[0] if operation else "").upper(), target[1] if target else ""
