"""What the pages of things that are ordered by hand begin after, as text that clients send back."""

import base64
import binascii
import json
from uuid import UUID

from mamkit.catalog.library_errors import InvalidQueryError

__all__ = ["read_cursor", "write_cursor"]


def write_cursor(position: str, last: UUID) -> str:
    """Return what the page after a row begins after."""
    return base64.urlsafe_b64encode(json.dumps([position, last.hex]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, UUID]:
    """Return where the last row stood, and its id.

    Raises:
        InvalidQueryError: `write_cursor` did not write it.
    """
    try:
        position, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        written = isinstance(position, str) and position.isalnum() and position.isascii()
        place = (position, UUID(hex=last))
    except (binascii.Error, ValueError, TypeError, AttributeError):
        written = False
    if not written:
        raise InvalidQueryError("the page to begin after is of another list; leave it out to begin anew")
    return place
