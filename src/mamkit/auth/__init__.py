"""Who somebody is and what they may do: passwords, access tokens, rotating sessions and permissions.

Everything is synchronous and knows no web framework; the parts do not need each other.

    hasher = PasswordHasher()
    stored = hasher.hash("correct horse battery staple")
    hasher.verify(stored, "correct horse battery staple")  # raises InvalidCredentialsError if it is another

    sessions = Sessions(MemorySessionStore(), secret=secrets.token_bytes(32))
    grant = sessions.start(user_id)
    grant = sessions.refresh(grant.refresh_token)

`mamkit.auth.sql` keeps sessions in a database.
"""

from mamkit.auth.errors import (
    AuthError,
    HashingUnavailableError,
    InvalidCredentialsError,
    PasswordTooLongError,
    PermissionDeniedError,
    SessionError,
    SessionExpiredError,
    SessionReusedError,
    SessionRevokedError,
    SessionStoreError,
    TokenError,
    TokenExpiredError,
    TokenInvalidError,
    WeakPasswordError,
    WeakPasswordReason,
    WeakSecretError,
)
from mamkit.auth.memory import MemorySessionStore
from mamkit.auth.passwords import OWASP_MINIMUM, RFC_9106_LOW_MEMORY, PasswordHasher, Profile, check_strength
from mamkit.auth.permissions import ACTIONS, ROLES, Action, Decision, Principal, Resource, Roles, decide
from mamkit.auth.sessions import SessionGrant, Sessions
from mamkit.auth.store import Session, SessionStore
from mamkit.auth.tokens import AccessClaims, AccessTokens, TokenKeys

__all__ = [
    "ACTIONS",
    "OWASP_MINIMUM",
    "RFC_9106_LOW_MEMORY",
    "ROLES",
    "AccessClaims",
    "AccessTokens",
    "Action",
    "AuthError",
    "Decision",
    "HashingUnavailableError",
    "InvalidCredentialsError",
    "MemorySessionStore",
    "PasswordHasher",
    "PasswordTooLongError",
    "PermissionDeniedError",
    "Principal",
    "Profile",
    "Resource",
    "Roles",
    "Session",
    "SessionError",
    "SessionExpiredError",
    "SessionGrant",
    "SessionReusedError",
    "SessionRevokedError",
    "SessionStore",
    "SessionStoreError",
    "Sessions",
    "TokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "TokenKeys",
    "WeakPasswordError",
    "WeakPasswordReason",
    "WeakSecretError",
    "check_strength",
    "decide",
]
