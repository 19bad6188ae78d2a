"""API keys: for programs that act in somebody's name, with fewer rights and for as long as their owner likes."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mamkit.auth.errors import ApiKeyExpiredError, TokenInvalidError
from mamkit.auth.permissions import ACTIONS
from mamkit.ids import uuid7

__all__ = ["ApiKey", "NewApiKey", "check_api_key", "new_api_key", "parse_api_key"]

_PREFIX = "mka1_"  # kind and version: lets scanners find a leaked one, and the format change one day
_SHAPE = re.compile(r"mka1_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES = 32  # 256 bits, which no guessing finds: a plain digest at rest is enough


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of an API key. Times are aware and in UTC."""

    id: UUID
    user_id: UUID
    name: str
    """What its owner calls it."""
    digest: str = field(repr=False)
    """SHA-256 of the whole key, hexadecimal; the key itself is kept nowhere."""
    scopes: frozenset[str]
    """The actions that it may do, of those that its owner may."""
    expires_at: datetime | None = None
    """None: until it is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A key that was just made."""

    key: str = field(repr=False)
    """To be shown once."""
    record: ApiKey


def new_api_key(user_id: UUID, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None) -> NewApiKey:
    """Make a key: `mka1_`, its id, `_`, and 256 random bits.

    Args:
        user_id: In whose name it acts.
        name: What its owner calls it.
        scopes: Actions of `ACTIONS` that it may do; others give nothing.
        expires_at: Until when.
    """
    key_id = uuid7()
    key = f"{_PREFIX}{key_id.hex}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    record = ApiKey(
        id=key_id,
        user_id=user_id,
        name=name,
        digest=_digest(key),
        scopes=frozenset(scopes) & ACTIONS,
        expires_at=expires_at,
    )
    return NewApiKey(key=key, record=record)


def parse_api_key(key: str) -> UUID:
    """Return the id that a key names, to look it up by.

    Raises:
        TokenInvalidError: It is not in the form of an API key.
    """
    match = _SHAPE.fullmatch(key) if key.isascii() else None
    if match is None:
        raise TokenInvalidError("it is not an API key")
    return UUID(match[1])


def check_api_key(record: ApiKey | None, key: str, *, at: datetime) -> ApiKey:
    """Return the record, if the key is the one that it was made with and its time has not passed.

    Args:
        record: What is kept under the key's id; None where nothing is.
        key: What was shown.
        at: The present time.

    Raises:
        TokenInvalidError: There is no such key.
        ApiKeyExpiredError: Its time has passed.
    """
    if record is None or not hmac.compare_digest(record.digest, _digest(key)):
        raise TokenInvalidError("there is no such API key")
    if record.expires_at is not None and at >= record.expires_at:
        raise ApiKeyExpiredError(expired_at=record.expires_at)
    return record


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
