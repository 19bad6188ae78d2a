"""Access tokens: short-lived JSON Web Tokens (RFC 7519, RFC 9068) that services check without asking anybody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from mamkit.auth.errors import TokenExpiredError, TokenInvalidError, WeakSecretError
from mamkit.clock import Clock, utc_now
from mamkit.errors import MamkitError, MissingExtraError
from mamkit.ids import uuid7

try:
    import jwt
except ImportError as error:
    raise MissingExtraError("auth", package="pyjwt") from error

__all__ = ["AccessClaims", "AccessTokens", "TokenKeys"]

_ALGORITHM = "HS256"  # the only one, whatever a token says of itself: RFC 8725 section 3.1
_TYPE = "at+jwt"  # RFC 9068 section 2.1; keeps tokens of other kinds out: RFC 8725 section 3.11
_MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2
_MAX_TOKEN_CHARS = 8192  # no header line of that length passes the usual proxies
_REQUIRED = ["iss", "aud", "iat", "exp", "jti", "sub", "sid", "azv", "roles"]
_LATEST = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that a `datetime` holds


class TokenKeys(Protocol):
    """The secrets that sign, by key id; `mamkit.signing.KeyRing` is one."""

    @property
    def current(self) -> tuple[str, bytes]:
        """Key id and secret that new tokens are signed with."""

    def __getitem__(self, kid: str, /) -> bytes:
        """Return the secret of a key id that still verifies; raise `LookupError` or a `MamkitError` for any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What a verified access token says."""

    user_id: UUID
    session_id: UUID
    """`SessionGrant.jti` of the session that it was issued to."""
    authz_version: int
    """The user's when the token was issued; a smaller one than the user's present one means that rights changed."""
    roles: tuple[str, ...]
    token_id: UUID
    issued_at: datetime
    expires_at: datetime


class AccessTokens:
    """Issues and verifies access tokens.

    Args:
        keys: Secrets of at least 32 bytes.
        issuer: Who issues, `iss`; tokens of others are refused.
        audience: For whom, `aud`; tokens for others are refused.
        lifetime: How long a token is good.
        leeway: How far the clocks of two machines may be apart.
        clock: Looked at for issuing and for verifying.

    Raises:
        WeakSecretError: The current secret is shorter than 32 bytes.
    """

    def __init__(
        self,
        keys: TokenKeys,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta = timedelta(minutes=15),
        leeway: timedelta = timedelta(seconds=5),
        clock: Clock = utc_now,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._leeway = leeway
        self._clock = clock
        _check_secret(keys.current[1])

    @property
    def lifetime(self) -> timedelta:
        """How long a token is good."""
        return self._lifetime

    def issue(self, *, user_id: UUID, session_id: UUID, authz_version: int, roles: Iterable[str] = ()) -> str:
        """Return a signed token; whoever holds it is that user until it expires."""
        kid, secret = self._keys.current
        issued_at = int(self._clock().timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "iat": issued_at,
            "exp": issued_at + int(self._lifetime.total_seconds()),
            "jti": str(uuid7()),
            "sub": str(user_id),
            "sid": str(session_id),
            "azv": authz_version,
            "roles": sorted(roles),
        }
        return jwt.encode(claims, _check_secret(secret), algorithm=_ALGORITHM, headers={"kid": kid, "typ": _TYPE})

    def verify(self, token: str) -> AccessClaims:
        """Return what a token says, if it was issued here, for this audience, and its time is now.

        Raises:
            TokenInvalidError: It is malformed, changed, of another kind, algorithm, key, issuer or audience, or issued
                further in the future than `leeway`.
            TokenExpiredError: It is genuine, and its time passed more than `leeway` ago.
        """
        if len(token) > _MAX_TOKEN_CHARS:
            raise TokenInvalidError("it is too long")
        secret = self._secret_of(token)
        try:
            payload = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                # PyJWT looks at the machine's clock: the times are checked below, against ours.
                options={
                    "require": _REQUIRED,
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise TokenInvalidError(_reason(error)) from error
        claims = _claims(payload)
        now = self._clock()
        if claims.issued_at > now + self._leeway or _time(payload, "nbf", default=0) > now + self._leeway:
            raise TokenInvalidError("it is from the future")
        if now >= claims.expires_at + self._leeway:
            raise TokenExpiredError(expired_at=claims.expires_at)
        return claims

    def _secret_of(self, token: str) -> bytes:
        """Return the secret of the key that the token names, once its header is one that we write."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise TokenInvalidError("it is not a JSON Web Token") from error
        if header.get("alg") != _ALGORITHM:
            raise TokenInvalidError(f"its algorithm is not {_ALGORITHM}")
        if header.get("typ") != _TYPE:
            raise TokenInvalidError("it is not an access token")
        if "crit" in header:  # we write none, and know none
            raise TokenInvalidError("it needs extensions that are not known here")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise TokenInvalidError("it names no key")
        try:
            return _check_secret(self._keys[kid])
        except (LookupError, MamkitError) as error:
            raise TokenInvalidError("it names a key that is not known here") from error


def _check_secret(secret: bytes) -> bytes:
    if len(secret) < _MIN_SECRET_BYTES:
        raise WeakSecretError("the token signing secret", size=len(secret))
    return secret


def _reason(error: jwt.InvalidTokenError) -> str:
    match error:
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case jwt.InvalidIssuerError():
            return "another issuer made it"
        case jwt.InvalidAudienceError():
            return "it is for another audience"
        case jwt.MissingRequiredClaimError():
            return f"it lacks {error.claim}"
        case _:
            return "it cannot be read"


def _claims(payload: dict[str, Any]) -> AccessClaims:
    """Return the claims, refusing any of another type than we write."""
    roles, version = payload["roles"], payload["azv"]
    if type(version) is not int:
        raise TokenInvalidError("azv is not a number")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TokenInvalidError("roles is not a list of names")
    return AccessClaims(
        user_id=_uuid(payload, "sub"),
        session_id=_uuid(payload, "sid"),
        authz_version=version,
        roles=tuple(roles),
        token_id=_uuid(payload, "jti"),
        issued_at=_time(payload, "iat"),
        expires_at=_time(payload, "exp"),
    )


def _uuid(payload: dict[str, Any], name: str) -> UUID:
    try:
        return UUID(payload[name])
    except (ValueError, TypeError, AttributeError) as error:
        raise TokenInvalidError(f"{name} is not a UUID") from error


def _time(payload: dict[str, Any], name: str, default: int | None = None) -> datetime:
    seconds = payload.get(name, default)
    if type(seconds) is not int or not 0 <= seconds <= _LATEST:
        raise TokenInvalidError(f"{name} is not a time")
    return datetime.fromtimestamp(seconds, UTC)
