"""Sessions in the memory of one process: the reference for other stores, and enough for tests."""

import threading
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from mamkit.auth.errors import SessionStoreError
from mamkit.auth.store import Session

__all__ = ["MemorySessionStore"]


class MemorySessionStore:
    """A `SessionStore` that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._sessions: dict[UUID, Session] = {}
        self._by_hash: dict[str, UUID] = {}
        self._lock = threading.Lock()

    def add(self, session: Session) -> None:
        """Keep the first link of a new family."""
        with self._lock:
            self._insert(session)

    def find(self, refresh_token_hash: str) -> Session | None:
        """Return the link with this hash, whatever its state."""
        with self._lock:
            jti = self._by_hash.get(refresh_token_hash)
            return None if jti is None else self._sessions[jti]

    def rotate(self, jti: UUID, successor: Session, *, at: datetime) -> bool:
        """Replace a live link by its successor, or return False."""
        with self._lock:
            session = self._sessions.get(jti)
            if session is None or not _is_live(session, at):
                return False
            self._insert(successor)
            self._sessions[jti] = replace(session, replaced_by_jti=successor.jti, replaced_at=at)
            return True

    def revoke_family(self, family: UUID, *, at: datetime) -> None:
        """Revoke every link of a family."""
        with self._lock:
            for session in list(self._sessions.values()):
                if session.family == family and session.revoked_at is None:
                    self._sessions[session.jti] = replace(session, revoked_at=at)

    def revoke_user(self, user_id: UUID, *, at: datetime) -> None:
        """Revoke every link of a user."""
        with self._lock:
            for session in list(self._sessions.values()):
                if session.user_id == user_id and session.revoked_at is None:
                    self._sessions[session.jti] = replace(session, revoked_at=at)

    def live(self, user_id: UUID, *, at: datetime) -> list[Session]:
        """Return the live links of a user, newest first."""
        with self._lock:
            found = [s for s in self._sessions.values() if s.user_id == user_id and _is_live(s, at)]
        return sorted(found, key=lambda session: (session.created_at, session.id), reverse=True)

    def purge(self, *, before: datetime) -> int:
        """Forget the links that expired before this time, and return how many."""
        with self._lock:
            gone = [session for session in self._sessions.values() if session.expires_at < before]
            for session in gone:
                del self._sessions[session.jti]
                del self._by_hash[session.refresh_token_hash]
            return len(gone)

    def _insert(self, session: Session) -> None:
        if session.jti in self._sessions or session.refresh_token_hash in self._by_hash:
            raise SessionStoreError("add a session that it has already")
        self._sessions[session.jti] = session
        self._by_hash[session.refresh_token_hash] = session.jti


def _is_live(session: Session, at: datetime) -> bool:
    return session.replaced_at is None and session.revoked_at is None and session.expires_at > at
