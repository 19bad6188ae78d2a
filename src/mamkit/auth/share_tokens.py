"""Tokens of share links: whoever has one is let in, and whoever reads the database gets none."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from mamkit.auth.errors import TokenInvalidError
from mamkit.ids import uuid7

__all__ = ["NewShareToken", "check_share_token", "new_share_token", "parse_share_token"]

_PREFIX = "mkl1_"  # kind and version: lets scanners find a leaked one, and the format change one day
_SHAPE = re.compile(r"mkl1_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES = 32  # 256 bits, which no guessing finds: a plain digest at rest is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShareToken:
    """A token that was just made."""

    token: str = field(repr=False)
    """To be shown once."""
    link_id: UUID
    """Of the share link that it opens."""
    digest: str = field(repr=False)
    """SHA-256 of the token, hexadecimal; all that is to be kept."""


def new_share_token() -> NewShareToken:
    """Make a token: `mkl1_`, the id of a new share link, `_`, and 256 random bits."""
    link_id = uuid7()
    token = f"{_PREFIX}{link_id.hex}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return NewShareToken(token=token, link_id=link_id, digest=_digest(token))


def parse_share_token(token: str) -> UUID:
    """Return the id of the link that a token names, to look it up by.

    Raises:
        TokenInvalidError: It is not in the form of such a token.
    """
    match = _SHAPE.fullmatch(token) if token.isascii() else None
    if match is None:
        raise TokenInvalidError("it is not of a share link")
    return UUID(match[1])


def check_share_token(digest: str | None, token: str) -> None:
    """Return if a token is the one that a digest was made of.

    Args:
        digest: What is kept under the token's link; None where nothing is.
        token: What was shown.

    Raises:
        TokenInvalidError: There is no such link.
    """
    if digest is None or not hmac.compare_digest(digest, _digest(token)):
        raise TokenInvalidError("there is no such share link")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
