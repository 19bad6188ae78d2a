"""Any OpenID Connect issuer (Keycloak, Auth0, Clerk, Google …), found by discovery."""

import base64
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from mamkit.auth.identity.errors import IdentityRefusedError, IdentityUnavailableError
from mamkit.auth.identity.provider import Identity, Started, Transport, ask, code_of, identity_of, pkce, text
from mamkit.clock import Clock, utc_now
from mamkit.errors import MissingExtraError

try:
    import jwt
except ImportError as error:
    raise MissingExtraError("auth", package="pyjwt") from error

__all__ = ["OidcProvider"]

_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")  # asymmetric ones only: RFC 8725 section 3.1
_DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0 section 4
_KEEP = timedelta(hours=1)  # how long the issuer's configuration and keys are kept
_KEYS_AGAIN = timedelta(seconds=30)  # between two looks for new keys, whatever tokens of strangers name
_MAX_TOKEN_CHARS = 32_768
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class OidcProvider:
    """Logins at an OpenID Connect issuer: authorisation code with PKCE (RFC 7636), state and nonce.

    Args:
        name: Short name, e.g. `keycloak`.
        issuer: Its URL, exactly as the issuer writes it in its configuration; `https:`, or on this machine.
        client_id: As registered there.
        client_secret: As registered there; None for a public client.
        transport: Asks the issuer.
        scopes: What to ask for.
        leeway: How far the clocks may be apart. A minute: the other clock is somebody else's.
        clock: Tells the time.

    Raises:
        IdentityUnavailableError: The issuer is not `https:`.
    """

    def __init__(
        self,
        name: str,
        *,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        transport: Transport,
        scopes: tuple[str, ...] = ("openid", "email", "profile"),
        leeway: timedelta = timedelta(seconds=60),
        clock: Clock = utc_now,
    ) -> None:
        self._name = name
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._transport = transport
        self._scopes = scopes
        self._leeway = leeway
        self._clock = clock
        self._configuration: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, list[dict[str, Any]]] | None = None
        self._plain_http = urlsplit(issuer).scheme == "http"  # one elsewhere must not send us to this machine
        self._check_place(issuer)

    @property
    def name(self) -> str:
        """Short name."""
        return self._name

    def begin(self, *, redirect_uri: str) -> Started:
        """Begin a login; see `IdentityProvider`."""
        verifier, challenge = pkce()
        state, nonce = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        parameters = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self._scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        url = self._endpoint("authorization_endpoint")
        return Started(
            url=f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}",
            kept={"state": state, "nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri},
        )

    def finish(self, kept: Mapping[str, Any], answer: Mapping[str, str]) -> Identity:
        """Return who logged in; see `IdentityProvider`."""
        code = code_of(self._name, kept, answer)
        if answer.get("iss", self._issuer) != self._issuer:  # RFC 9207: which of several issuers answered
            raise self._refused("another issuer answered")
        tokens = self._exchange(code, kept)
        claims = self._verify(text(self._name, tokens, "id_token"), nonce=str(kept["nonce"]))
        if "email" not in claims and "access_token" in tokens and "userinfo_endpoint" in self._discovered():
            claims = {**claims, **self._userinfo(text(self._name, tokens, "access_token"), claims["sub"])}
        return identity_of(
            self._name, claims, subject="sub", verified="email_verified", names=("name", "preferred_username")
        )

    def _exchange(self, code: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": str(kept["redirect_uri"]),
            "code_verifier": str(kept["verifier"]),
        }
        headers = {}
        methods = self._discovered().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._client_secret is None:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in methods:  # RFC 6749 section 2.3.1
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        return ask(self._name, self._transport, "POST", self._endpoint("token_endpoint"), form, headers)

    def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {access_token}"}
        found = ask(self._name, self._transport, "GET", self._endpoint("userinfo_endpoint"), headers=headers)
        if found.get("sub") != subject:  # Core section 5.3.2
            raise self._refused("the user's data are another's")
        return found

    def _verify(self, token: str, *, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token (OpenID Connect Core 1.0 section 3.1.3.7)."""
        if len(token) > _MAX_TOKEN_CHARS:
            raise self._refused("the ID token is too long")
        claims = self._signed(token)
        if claims.get("iss") != self._issuer:
            raise self._refused("another issuer made the ID token")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if self._client_id not in audiences:
            raise self._refused("the ID token is for another client")
        if claims.get("azp", self._client_id) != self._client_id or (len(audiences) > 1 and "azp" not in claims):
            raise self._refused("the ID token was issued to another client")
        now = self._clock()
        if now - self._leeway >= self._time(claims, "exp"):
            raise self._refused("the ID token has expired")
        if now + self._leeway < self._time(claims, "iat"):
            raise self._refused("the ID token is from the future; compare the clocks")
        found = claims.get("nonce")
        if not isinstance(found, str) or not hmac.compare_digest(
            found.encode("utf-8", "surrogatepass"), nonce.encode()
        ):
            raise self._refused("the ID token belongs to another login")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:  # Core section 2
            raise self._refused("the ID token names nobody")
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """Return what a token says, if one of the issuer's keys signed it; look for new keys once, if none did."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, UnicodeError, RecursionError) as error:
            raise self._refused("the ID token cannot be read") from error
        algorithm = header.get("alg")
        if algorithm not in _ALGORITHMS:
            raise self._refused("the ID token's algorithm is not allowed")
        for fresh in (False, True):
            for entry in self._jwks(fresh=fresh):
                if _serves(entry, header.get("kid"), algorithm):
                    try:
                        return self._decode(token, entry, algorithm)
                    except jwt.InvalidSignatureError:
                        continue
        raise self._refused("no key of the issuer signed the ID token")

    def _decode(self, token: str, entry: dict[str, Any], algorithm: str) -> dict[str, Any]:
        try:
            key = jwt.PyJWK(entry, algorithm=algorithm)
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                # PyJWT looks at the machine's clock; the claims are checked by `_verify`, against ours.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError:
            raise
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise self._refused("the ID token cannot be read") from error

    def _jwks(self, *, fresh: bool) -> list[dict[str, Any]]:
        now = self._clock()
        age = None if self._keys is None else now - self._keys[0]
        if self._keys is None or age is None or age > _KEEP or (fresh and age >= _KEYS_AGAIN) or age < timedelta(0):
            found = ask(self._name, self._transport, "GET", self._endpoint("jwks_uri")).get("keys")
            if not isinstance(found, list):
                raise IdentityUnavailableError(self._name, "its keys cannot be read")
            self._keys = now, [entry for entry in found if isinstance(entry, dict)]
        return self._keys[1]

    def _discovered(self) -> dict[str, Any]:
        now = self._clock()
        if self._configuration is None or not timedelta(0) <= now - self._configuration[0] <= _KEEP:
            found = ask(self._name, self._transport, "GET", self._issuer.rstrip("/") + _DISCOVERY)
            if found.get("issuer") != self._issuer:  # Discovery section 4.3
                raise self._refused("its configuration is that of another issuer; write the issuer as it does")
            self._configuration = now, found
        return self._configuration[1]

    def _endpoint(self, name: str) -> str:
        url = text(self._name, self._discovered(), name)
        self._check_place(url)
        return url

    def _check_place(self, url: str) -> None:
        parts = urlsplit(url)
        here = self._plain_http and parts.scheme == "http" and parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not here:
            raise IdentityUnavailableError(self._name, "its address is not https:")

    def _time(self, claims: dict[str, Any], name: str) -> datetime:
        seconds = claims.get(name)
        if type(seconds) not in {int, float} or not 0 <= seconds < 2**37:  # type: ignore[operator]
            raise self._refused(f"the ID token's {name} is no time")
        return datetime.fromtimestamp(seconds, UTC)  # type: ignore[arg-type]

    def _refused(self, reason: str) -> IdentityRefusedError:
        return IdentityRefusedError(self._name, reason)


def _serves(entry: dict[str, Any], kid: object, algorithm: str) -> bool:
    """Return whether a key of the issuer may have signed a token with this header."""
    kinds = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
    return (
        entry.get("kty") == kinds[algorithm]
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
        and (kid is None or entry.get("kid") in {None, kid})
    )
