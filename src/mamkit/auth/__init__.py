"""Who somebody is and what they may do: passwords, tokens, rotating sessions, second factors and permissions.

Everything is synchronous and knows no web framework; the parts do not need each other.

    hasher = PasswordHasher()
    stored = hasher.hash("correct horse battery staple")
    hasher.verify(stored, "correct horse battery staple")  # raises InvalidCredentialsError if it is another

    sessions = Sessions(MemorySessionStore(), secret=secrets.token_bytes(32))
    grant = sessions.start(user_id)
    grant = sessions.refresh(grant.refresh_token)

`mamkit.auth.sql` and `mamkit.auth.sql_logins` keep sessions and open logins in a database, `mamkit.auth.passkeys` has
WebAuthn, `mamkit.auth.identity` other people's logins.
"""

from mamkit.auth.api_keys import (
    ApiKey,
    NewApiKey,
    check_api_key,
    new_api_key,
    parse_api_key,
)
from mamkit.auth.browser import (
    CsrfTokens,
    check_origin,
    check_return_path,
)
from mamkit.auth.errors import (
    ApiKeyExpiredError,
    AuthError,
    CsrfError,
    FlowEndedError,
    HashingUnavailableError,
    InvalidCredentialsError,
    KeyPairsError,
    LockedOutError,
    LoginStoreError,
    PasskeyRefusedError,
    PasswordTooLongError,
    PermissionDeniedError,
    RedirectRefusedError,
    SealedValueError,
    SecondFactorError,
    SessionError,
    SessionExpiredError,
    SessionReusedError,
    SessionRevokedError,
    SessionStoreError,
    ShareEndedError,
    SharePasswordError,
    TokenError,
    TokenExpiredError,
    TokenInvalidError,
    WeakPasswordError,
    WeakPasswordReason,
    WeakSecretError,
)
from mamkit.auth.flows import (
    Flows,
    FlowStore,
    MemoryFlowStore,
    OpenFlow,
)
from mamkit.auth.key_pairs import (
    KeyPairs,
    PairAlgorithm,
)
from mamkit.auth.lockout import (
    PER_ACCOUNT,
    PER_ADDRESS,
    Attempts,
    AttemptStore,
    Lockout,
    LockoutPolicy,
    MemoryAttemptStore,
)
from mamkit.auth.memory import (
    MemorySessionStore,
)
from mamkit.auth.one_time import (
    OneTimeClaims,
    OneTimeTokens,
)
from mamkit.auth.passwords import (
    OWASP_MINIMUM,
    RFC_9106_LOW_MEMORY,
    PasswordHasher,
    Profile,
)
from mamkit.auth.permissions import (
    ACTIONS,
    EVERYWHERE,
    ROLES,
    Action,
    Decision,
    Principal,
    Resource,
    Roles,
    Share,
    decide,
)
from mamkit.auth.sessions import (
    SessionGrant,
    Sessions,
)
from mamkit.auth.share_tokens import NewShareToken, check_share_token, new_share_token, parse_share_token
from mamkit.auth.store import (
    Session,
    SessionStore,
)
from mamkit.auth.strength import (
    check_strength,
)
from mamkit.auth.tokens import (
    AccessClaims,
    AccessTokens,
    TokenKeys,
)
from mamkit.auth.totp import (
    Totp,
    new_recovery_codes,
    new_totp_secret,
    recovery_digest,
    spend_recovery_code,
)
from mamkit.auth.vault import (
    SealingKeys,
    Vault,
)

__all__ = [
    "ACTIONS",
    "EVERYWHERE",
    "OWASP_MINIMUM",
    "PER_ACCOUNT",
    "PER_ADDRESS",
    "RFC_9106_LOW_MEMORY",
    "ROLES",
    "AccessClaims",
    "AccessTokens",
    "Action",
    "ApiKey",
    "ApiKeyExpiredError",
    "AttemptStore",
    "Attempts",
    "AuthError",
    "CsrfError",
    "CsrfTokens",
    "Decision",
    "FlowEndedError",
    "FlowStore",
    "Flows",
    "HashingUnavailableError",
    "InvalidCredentialsError",
    "KeyPairs",
    "KeyPairsError",
    "LockedOutError",
    "Lockout",
    "LockoutPolicy",
    "LoginStoreError",
    "MemoryAttemptStore",
    "MemoryFlowStore",
    "MemorySessionStore",
    "NewApiKey",
    "NewShareToken",
    "OneTimeClaims",
    "OneTimeTokens",
    "OpenFlow",
    "PairAlgorithm",
    "PasskeyRefusedError",
    "PasswordHasher",
    "PasswordTooLongError",
    "PermissionDeniedError",
    "Principal",
    "Profile",
    "RedirectRefusedError",
    "Resource",
    "Roles",
    "SealedValueError",
    "SealingKeys",
    "SecondFactorError",
    "Session",
    "SessionError",
    "SessionExpiredError",
    "SessionGrant",
    "SessionReusedError",
    "SessionRevokedError",
    "SessionStore",
    "SessionStoreError",
    "Sessions",
    "Share",
    "ShareEndedError",
    "SharePasswordError",
    "TokenError",
    "TokenExpiredError",
    "TokenInvalidError",
    "TokenKeys",
    "Totp",
    "Vault",
    "WeakPasswordError",
    "WeakPasswordReason",
    "WeakSecretError",
    "check_api_key",
    "check_origin",
    "check_return_path",
    "check_share_token",
    "check_strength",
    "decide",
    "new_api_key",
    "new_recovery_codes",
    "new_share_token",
    "new_totp_secret",
    "parse_api_key",
    "parse_share_token",
    "recovery_digest",
    "spend_recovery_code",
]
