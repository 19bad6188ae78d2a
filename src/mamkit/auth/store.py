"""What is kept of a session, and the contract of the stores that keep it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

__all__ = ["Session", "SessionStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One link in the chain of refresh tokens that began with a login. Times are aware and in UTC."""

    id: UUID
    user_id: UUID
    jti: UUID
    """Names this link; access tokens carry it as `sid`."""
    family: UUID
    """The `jti` of the login: all links of a chain share it."""
    refresh_token_hash: str = field(repr=False)
    """SHA-256 of the token, hexadecimal; the token itself is kept nowhere."""
    parent_jti: UUID | None = None
    """The link that this one replaced."""
    replaced_by_jti: UUID | None = None
    replaced_at: datetime | None = None
    """Set together with `replaced_by_jti`."""
    expires_at: datetime
    revoked_at: datetime | None = None
    created_at: datetime


class SessionStore(Protocol):
    """Where sessions are kept.

    Obligations that hold for every store:

    * A method is done whole or not at all, and what it did is seen by every later call, of any thread or process.
    * Methods are synchronous and may be called from several threads and processes at once.
    * The store looks at no clock: it is told the time.
    * A store that does not answer, or that is given a `jti` or a hash that it has already, raises `SessionStoreError`.

    `mamkit.testing.sessions.SessionStoreContract` checks them.
    """

    def add(self, session: Session) -> None:
        """Keep the first link of a new family."""

    def find(self, refresh_token_hash: str) -> Session | None:
        """Return the link with this hash, whatever its state."""

    def rotate(self, jti: UUID, successor: Session, *, at: datetime) -> bool:
        """Replace a live link by its successor, in one step; return False, and change nothing, if it is not live.

        Live is what is neither replaced nor revoked, and expires after `at`. Of any number of callers at once, one gets
        True. `replaced_by_jti` becomes `successor.jti`, `replaced_at` becomes `at`.
        """

    def revoke_family(self, family: UUID, *, at: datetime) -> None:
        """Set `revoked_at` of every link of a family that has none.

        A rotation that runs at the same time either comes first, and its successor is revoked too, or fails.
        """

    def revoke_user(self, user_id: UUID, *, at: datetime) -> None:
        """Do as `revoke_family` for all families of a user."""

    def live(self, user_id: UUID, *, at: datetime) -> list[Session]:
        """Return the live links of a user, one a family, newest first."""

    def purge(self, *, before: datetime) -> int:
        """Forget the links that expired before this time, and return how many."""
