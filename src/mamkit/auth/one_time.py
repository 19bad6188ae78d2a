"""Tokens for links in mails: signed, for one purpose, and good until what they were made for has happened.

Nothing is stored. A token names the *state* that it was made in, e.g. the password hash at the time: once the state has
changed, which is what using the token does, it fits no more. Whoever uses one compares and changes the state in one
statement (`UPDATE … WHERE password_hash = :old`), so that of two uses at once one succeeds.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mamkit.auth.errors import TokenExpiredError, TokenInvalidError, WeakSecretError
from mamkit.auth.tokens import TokenKeys
from mamkit.clock import Clock, utc_now
from mamkit.errors import MamkitError

__all__ = ["OneTimeClaims", "OneTimeTokens"]

_VERSION = "mko1"
_CONTEXT = b"mamkit one-time token 1\0"  # keeps this use of a key apart from any other
_MIN_SECRET_BYTES = 32
_MAX_TOKEN_CHARS = 2048
_STATE_BYTES = 16  # 128 bits of a digest of 256: it is compared, never guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeClaims:
    """What a genuine token says; `OneTimeTokens.spend` says whether it still fits."""

    purpose: str
    subject: str
    expires_at: datetime
    state: bytes


class OneTimeTokens:
    """Issues and verifies tokens for links in mails.

    Args:
        keys: Secrets of at least 32 bytes; the same ring as for access tokens may be given, for its keys are derived
            from anew.
        clock: Tells the time.
    """

    def __init__(self, keys: TokenKeys, *, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._clock = clock

    def issue(self, *, purpose: str, subject: str, state: str, lifetime: timedelta) -> str:
        """Return a token.

        Args:
            purpose: What it may be used for, e.g. `password-reset`; it is good for nothing else.
            subject: Whom it is about, e.g. a user's id.
            state: What using it will change.
            lifetime: How long it is good at most.
        """
        kid, _ = self._keys.current
        body = {
            "k": kid,
            "p": purpose,
            "s": subject,
            "e": int((self._clock() + lifetime).timestamp()),
            "t": _encode(_state(purpose, state)),
        }
        payload = _encode(json.dumps(body, separators=(",", ":")).encode())
        return f"{_VERSION}.{payload}.{_encode(self._mac(kid, payload))}"

    def read(self, token: str, *, purpose: str) -> OneTimeClaims:
        """Return what a token says, if it was issued here, for this purpose, and its time has not passed.

        Raises:
            TokenInvalidError: It was not, or was changed.
            TokenExpiredError: Its time has passed.
        """
        version, _, rest = token.partition(".")
        payload, _, mac = rest.partition(".")
        if len(token) > _MAX_TOKEN_CHARS or not token.isascii() or version != _VERSION:
            raise TokenInvalidError("it is not a token of a mail")
        try:
            body = json.loads(_decode(payload))
            kid, found, subject, expires, state = (body[name] for name in "kpset")
            genuine = hmac.compare_digest(_encode(self._mac(kid, payload)), mac)
        except (ValueError, TypeError, LookupError, RecursionError, MamkitError) as error:
            raise TokenInvalidError("it is not a token of a mail") from error
        if not genuine:
            raise TokenInvalidError("its signature is wrong")
        if found != purpose:
            raise TokenInvalidError("it is for another purpose")
        expires_at = datetime.fromtimestamp(expires, UTC)
        if self._clock() >= expires_at:
            raise TokenExpiredError(expired_at=expires_at)
        return OneTimeClaims(purpose=purpose, subject=subject, expires_at=expires_at, state=_decode(state))

    def spend(self, claims: OneTimeClaims, *, state: str) -> None:
        """Return if the state is still the one that the token was made in.

        Raises:
            TokenInvalidError: It has changed: the token, or a newer one, was used.
        """
        if not hmac.compare_digest(claims.state, _state(claims.purpose, state)):
            raise TokenInvalidError("it was used already, or is out of date")

    def _mac(self, kid: str, payload: str) -> bytes:
        secret = self._keys[kid]
        if len(secret) < _MIN_SECRET_BYTES:
            raise WeakSecretError("the token signing secret", size=len(secret))
        return hmac.digest(hmac.digest(secret, _CONTEXT, "sha256"), payload.encode(), "sha256")


def _state(purpose: str, state: str) -> bytes:
    return hashlib.sha256(f"{purpose}\0{state}".encode()).digest()[:_STATE_BYTES]


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
