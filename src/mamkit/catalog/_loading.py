"""Rows that came past a session, as the objects that a session would have made of them."""

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, make_transient_to_detached

from mamkit.catalog.models import Base

__all__ = ["columns_of", "detached"]

Model = TypeVar("Model", bound=Base)


def columns_of(model: type[Base]) -> list[InstrumentedAttribute[Any]]:
    """Return the columns of a table, as a statement selects them."""
    return [getattr(model, each.key) for each in sa.inspect(model).column_attrs]


def detached(model: type[Model], values: Sequence[Any]) -> Model:
    """Return a row as an object that its session, closed since, would have left.

    Args:
        model: Of the table.
        values: In the order of `columns_of`; what stands behind them is left out.
    """
    row = model()
    row.__dict__.update(zip((each.key for each in sa.inspect(model).column_attrs), values, strict=False))
    make_transient_to_detached(row)
    return row
