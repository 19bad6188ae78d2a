"""Questions that are asked with almost every request, at the cost of one round trip each.

A session is made for work: it begins, asks, remembers rows as objects, and ends, each of which PostgreSQL answers by
itself. Who wants to know one thing needs nothing of that: `Catalog.ask` puts a question.
"""

from typing import Generic, TypeVarTuple

import sqlalchemy as sa

__all__ = ["Question"]

Columns = TypeVarTuple("Columns")


class Question(Generic[*Columns]):
    """A statement that `Catalog.ask` puts to the database; made once, with parameters for what differs.

    Args:
        statement: Selects columns of models, and no models: what is found is rows, and nobody keeps track of them.
    """

    def __init__(self, statement: sa.Select[*Columns]) -> None:
        self.statement = statement

    def __repr__(self) -> str:
        return f"Question({self.statement})"
