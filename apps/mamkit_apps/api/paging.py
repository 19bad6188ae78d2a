"""How much of a list is asked for at once."""

from typing import Annotated

from litestar.params import QueryParameter

__all__ = ["Cursor", "Limit"]

Limit = Annotated[int, QueryParameter(ge=1, le=100)]
"""How many a page has at the most."""

Cursor = Annotated[str | None, QueryParameter(max_length=2000)]
"""Where a page begins in a list that can be sorted in several ways: the `next` of the page before."""
