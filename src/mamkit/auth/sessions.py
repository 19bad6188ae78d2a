"""Sessions that last: refresh tokens, each good for one exchange (RFC 9700 section 4.14.2).

A login starts a *family*; each refresh replaces its one live token by a successor. A token that comes back long after
it was replaced is in two hands, and ends the family. Yet two tabs of one browser refresh at the same moment, and
answers get lost: so a token's successor is *derived* from it, and for a short grace the same token gets the same answer
again, with no secret kept in the store.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from mamkit.auth.errors import (
    SessionExpiredError,
    SessionReusedError,
    SessionRevokedError,
    TokenInvalidError,
    WeakSecretError,
)
from mamkit.auth.store import Session, SessionStore
from mamkit.clock import Clock, utc_now
from mamkit.ids import uuid7

__all__ = ["SessionGrant", "Sessions"]

_PREFIX = "mkr1_"  # kind and version of the token: lets scanners find a leaked one, and the format change one day
_TOKEN_BYTES = 32  # 256 bits, far beyond guessing (RFC 6749 section 10.10 asks for 160)
_TOKEN_CHARS = len(_PREFIX) + 43  # base64url of 32 bytes without padding
_CONTEXT = b"mamkit refresh token successor 1\0"  # keeps this use of the secret apart from any other
_MIN_SECRET_BYTES = 32
_MAX_STEPS = 100  # links walked in one call; a client that refreshes more often within one grace is none of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGrant:
    """What a client gets for its login or its refresh token."""

    user_id: UUID
    jti: UUID
    """Names the link of the chain; goes into access tokens as `sid`."""
    family: UUID
    """Names the session from its login to its end."""
    refresh_token: str = field(repr=False)
    """Whoever holds it is the user; shown here and never again."""
    expires_at: datetime


class Sessions:
    """Starts, refreshes and ends sessions. Synchronous; safe to share between threads and processes.

    The lifetime of a family is absolute, however often it is refreshed: NIST SP 800-63B section 4.1.3 has users
    authenticate again every 30 days, whatever their activity.

    Args:
        store: Where sessions are kept.
        secret: At least 32 random bytes from which successors are derived; the same in all processes. After it was
            changed, a token that was replaced under the old one gets no second answer.
        lifetime: From login until the family ends.
        grace: How long a replaced token still gets its successor. Long enough for parallel requests and a retry after a
            lost answer, short enough that a stolen token betrays itself.
        clock: Tells the time.

    Raises:
        WeakSecretError: The secret is too short.
        TypeError: It is not bytes.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        secret: bytes,
        lifetime: timedelta = timedelta(days=30),
        grace: timedelta = timedelta(seconds=15),
        clock: Clock = utc_now,
    ) -> None:
        if not isinstance(secret, bytes):
            raise TypeError("the session secret must be bytes")  # text would fail at the first refresh only
        if len(secret) < _MIN_SECRET_BYTES:
            raise WeakSecretError("the session secret", size=len(secret))
        self._store = store
        self._secret = secret
        self._lifetime = lifetime
        self._grace = grace
        self._clock = clock

    def start(self, user_id: UUID) -> SessionGrant:
        """Begin a new family for a user who has just proved who they are."""
        now = self._clock()
        token = _encode(secrets.token_bytes(_TOKEN_BYTES))
        jti = uuid7()
        session = Session(
            id=uuid7(),
            user_id=user_id,
            jti=jti,
            family=jti,
            refresh_token_hash=_digest(token),
            expires_at=now + self._lifetime,
            created_at=now,
        )
        self._store.add(session)
        return _grant(session, token)

    def refresh(self, refresh_token: str) -> SessionGrant:
        """Exchange a refresh token for its successor.

        Within the grace the same token gets the same answer, however many ask at once; where the successor was itself
        replaced meanwhile, the answer is the live end of the chain.

        Raises:
            TokenInvalidError: It is malformed or not known here.
            SessionExpiredError: Its family has come to its end.
            SessionRevokedError: Its family was ended.
            SessionReusedError: It was replaced longer than the grace ago; its family is now ended.
        """
        session = self._usable(refresh_token)
        if session.replaced_at is None:
            token = self._successor_of(refresh_token)
            now = self._clock()
            successor = Session(
                id=uuid7(),
                user_id=session.user_id,
                jti=uuid7(),
                family=session.family,
                refresh_token_hash=_digest(token),
                parent_jti=session.jti,
                expires_at=session.expires_at,
                created_at=now,
            )
            if self._store.rotate(session.jti, successor, at=now):
                return _grant(successor, token)
            session = self._usable(refresh_token)  # somebody was faster: its successor is there, or it was ended
        return self._live_end(session, refresh_token)

    def revoke(self, refresh_token: str) -> None:
        """End the family of a refresh token, live or replaced: a logout. A token that is not known ends nothing."""
        try:
            session = self._store.find(_digest(refresh_token))
        except TokenInvalidError:
            return
        if session is not None:
            self._store.revoke_family(session.family, at=self._clock())

    def end(self, user_id: UUID, family: UUID) -> bool:
        """End one of a user's families, as from a list of devices; return whether it was theirs, and alive."""
        if all(session.family != family for session in self.list(user_id)):
            return False
        self._store.revoke_family(family, at=self._clock())
        return True

    def revoke_all(self, user_id: UUID) -> None:
        """End all families of a user, as after a change of the password."""
        self._store.revoke_user(user_id, at=self._clock())

    def list(self, user_id: UUID) -> list[Session]:
        """Return the live link of each of a user's families, newest first."""
        return self._store.live(user_id, at=self._clock())

    def purge(self) -> int:
        """Forget the families that have come to their end, and return how many links they had; for a daily job."""
        return self._store.purge(before=self._clock())

    def _usable(self, token: str) -> Session:
        """Return the link of a token that is neither revoked nor expired."""
        session = self._store.find(_digest(token))
        if session is None:
            raise TokenInvalidError("it is not a refresh token that is known here")
        if session.revoked_at is not None:
            raise SessionRevokedError(revoked_at=session.revoked_at)
        if session.expires_at <= self._clock():
            raise SessionExpiredError(expired_at=session.expires_at)
        return session

    def _live_end(self, session: Session, token: str) -> SessionGrant:
        """Walk from a replaced link to the one that lives, deriving its token on the way."""
        for _ in range(_MAX_STEPS):
            if session.replaced_at is None:
                return _grant(session, token)
            if self._clock() - session.replaced_at > self._grace:
                break
            token = self._successor_of(token)
            session = self._usable(token)
        self._store.revoke_family(session.family, at=self._clock())
        raise SessionReusedError(family=session.family, user_id=session.user_id)

    def _successor_of(self, token: str) -> str:
        return _encode(hmac.digest(self._secret, _CONTEXT + token.encode(), "sha256"))


def _encode(token: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _digest(token: str) -> str:
    """Return what the store knows a token by.

    Raises:
        TokenInvalidError: It is not in the form that `_encode` gives it.
    """
    if len(token) != _TOKEN_CHARS or not token.startswith(_PREFIX) or not token.isascii():
        raise TokenInvalidError("it is not a refresh token")
    return hashlib.sha256(token.encode()).hexdigest()


def _grant(session: Session, token: str) -> SessionGrant:
    return SessionGrant(
        user_id=session.user_id,
        jti=session.jti,
        family=session.family,
        refresh_token=token,
        expires_at=session.expires_at,
    )
