"""How much one page of a listing holds."""

from mamkit.catalog.errors import InvalidPageError

__all__ = ["MAX_PAGE", "check_limit"]

MAX_PAGE = 1000
"""Most rows that one page holds: bounds memory, however many there are."""


def check_limit(limit: int) -> None:
    """Check that a page of so many rows may be asked for.

    Raises:
        InvalidPageError: `limit` is not from 1 to `MAX_PAGE`.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidPageError(limit, largest=MAX_PAGE)
