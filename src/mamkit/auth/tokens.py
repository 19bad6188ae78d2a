"""Access tokens: short-lived JSON Web Tokens (RFC 7519, RFC 9068) that services check without asking anybody."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from mamkit.auth.errors import TokenExpiredError, TokenInvalidError, WeakSecretError
from mamkit.auth.key_pairs import KeyPairs
from mamkit.clock import Clock, utc_now
from mamkit.errors import MamkitError, MissingExtraError
from mamkit.ids import uuid7

try:
    import jwt
except ImportError as error:
    raise MissingExtraError("auth", package="pyjwt") from error

__all__ = ["AccessClaims", "AccessTokens", "TokenKeys"]

_HMAC = "HS256"
_TYPE = "at+jwt"  # RFC 9068 section 2.1; keeps tokens of other kinds out: RFC 8725 section 3.11
_MIN_SECRET_BYTES = 32  # RFC 7518 section 3.2
_MAX_TOKEN_CHARS = 8192  # no header line of that length passes the usual proxies
_REQUIRED = frozenset({"iss", "aud", "iat", "exp", "jti", "sub", "sid", "azv", "roles"})
_KNOWN_HEADERS = 16  # spellings remembered; one key has one
_REMEMBERED = 4096  # tokens found genuine, 1 KiB each: a client sends one for as long as it lasts
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


@dataclass(frozen=True, slots=True)
class _Genuine:
    """What a token says once its signature is verified, and whatever the time is."""

    kid: str
    key: Any = field(repr=False)
    claims: AccessClaims
    not_before: datetime | None


class AccessTokens:
    """Issues and verifies access tokens.

    Tokens that were found genuine are remembered by their digests, so that the next request with one costs a digest and
    no signature. Only what cannot change is: the time, and whether its key is still a key, are looked at each time.

    Args:
        keys: Secrets of at least 32 bytes, for HS256, where whoever verifies can also sign. Or key pairs, for EdDSA and
            ES256, where others verify with the published `KeyPairs.jwks`. A key is good for one algorithm, whatever a
            token says of itself (RFC 8725 section 3.1).
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
        keys: TokenKeys | KeyPairs,
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
        self._jws = jwt.PyJWS(algorithms=["EdDSA", "ES256"])
        self._jws.register_algorithm(_HMAC, _Hmac(_Hmac.SHA256))
        self._headers: dict[str, tuple[str, str]] = {}  # of genuine tokens: the header as sent → algorithm, key id
        self._genuine: dict[bytes, _Genuine] = {}
        if not isinstance(keys, KeyPairs):
            _check_secret(keys.current[1])

    @property
    def lifetime(self) -> timedelta:
        """How long a token is good."""
        return self._lifetime

    def issue(self, *, user_id: UUID, session_id: UUID, authz_version: int, roles: Iterable[str] = ()) -> str:
        """Return a signed token; whoever holds it is that user until it expires."""
        kid, _ = self._keys.current
        algorithm = self._keys.algorithm(kid) if isinstance(self._keys, KeyPairs) else _HMAC
        key: Any = self._keys.current[1] if isinstance(self._keys, KeyPairs) else _check_secret(self._keys.current[1])
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
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid, "typ": _TYPE})

    def verify(self, token: str) -> AccessClaims:
        """Return what a token says, if it was issued here, for this audience, and its time is now.

        Raises:
            TokenInvalidError: It is malformed, changed, of another kind, algorithm, key, issuer or audience, or issued
                further in the future than `leeway`.
            TokenExpiredError: It is genuine, and its time passed more than `leeway` ago.
        """
        if len(token) > _MAX_TOKEN_CHARS:
            raise TokenInvalidError("it is too long")
        name = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        genuine = self._genuine.get(name)
        if genuine is None or self._key(genuine.kid) != genuine.key:
            genuine = self._genuine[name] = self._read(token)
            if len(self._genuine) > _REMEMBERED:
                del self._genuine[next(iter(self._genuine))]
        claims, now = genuine.claims, self._clock()
        not_before = claims.issued_at if genuine.not_before is None else max(claims.issued_at, genuine.not_before)
        if not_before - now > self._leeway:
            raise TokenInvalidError("it is from the future")
        if now - claims.expires_at >= self._leeway:
            raise TokenExpiredError(expired_at=claims.expires_at)
        return claims

    def _read(self, token: str) -> _Genuine:
        """Return what a token says, if it was issued here and for this audience, be it long ago."""
        header = token.partition(".")[0]
        algorithm, kid = self._headers.get(header) or self._read_header(token)
        key = self._key(kid)
        try:
            payload = json.loads(self._jws.decode(token, key, algorithms=[algorithm]).decode())
        except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
            raise TokenInvalidError(_reason(error)) from error
        if len(self._headers) < _KNOWN_HEADERS:
            self._headers[header] = algorithm, kid
        if not isinstance(payload, dict):
            raise TokenInvalidError("it cannot be read")
        if not payload.keys() >= _REQUIRED:
            raise TokenInvalidError(f"it lacks {', '.join(sorted(_REQUIRED - payload.keys()))}")
        if payload["iss"] != self._issuer:
            raise TokenInvalidError("another issuer made it")
        if payload["aud"] != self._audience:  # one, and no list of them: we write none
            raise TokenInvalidError("it is for another audience")
        return _Genuine(kid, key, _claims(payload), _time(payload, "nbf") if "nbf" in payload else None)

    def _read_header(self, token: str) -> tuple[str, str]:
        """Return algorithm and key id of a token, once its header is one that we write."""
        try:
            header = self._jws.get_unverified_header(token)
        except (jwt.InvalidTokenError, UnicodeError, RecursionError) as error:
            raise TokenInvalidError("it is not a JSON Web Token") from error
        pairs = isinstance(self._keys, KeyPairs)
        if header.get("alg") not in (("EdDSA", "ES256") if pairs else (_HMAC,)):
            raise TokenInvalidError(f"its algorithm is not {'EdDSA or ES256' if pairs else _HMAC}")
        if header.get("typ") != _TYPE:
            raise TokenInvalidError("it is not an access token")
        if "crit" in header:  # we write none, and know none
            raise TokenInvalidError("it needs extensions that are not known here")
        kid = header.get("kid")
        if not isinstance(kid, str):
            raise TokenInvalidError("it names no key")
        self._key(kid)
        if isinstance(self._keys, KeyPairs) and header["alg"] != self._keys.algorithm(kid):
            raise TokenInvalidError("its algorithm is not that of its key")
        return header["alg"], kid

    def _key(self, kid: str) -> Any:
        try:
            return self._keys[kid] if isinstance(self._keys, KeyPairs) else _check_secret(self._keys[kid])
        except (LookupError, MamkitError) as error:
            raise TokenInvalidError("it names a key that is not known here") from error


class _Hmac(jwt.algorithms.HMACAlgorithm):
    """HMAC with secrets that were checked when they were taken from their ring.

    PyJWT looks at each use whether a secret is a public key in disguise. None is: pairs and secrets never meet here.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key


def _check_secret(secret: bytes) -> bytes:
    if len(secret) < _MIN_SECRET_BYTES:
        raise WeakSecretError("the token signing secret", size=len(secret))
    return secret


def _reason(error: Exception) -> str:
    return "its signature is wrong" if isinstance(error, jwt.InvalidSignatureError) else "it cannot be read"


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


def _time(payload: dict[str, Any], name: str) -> datetime:
    seconds = payload[name]
    if type(seconds) is not int or not 0 <= seconds <= _LATEST:
        raise TokenInvalidError(f"{name} is not a time")
    return datetime.fromtimestamp(seconds, UTC)
