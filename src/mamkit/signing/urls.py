"""Signed URLs: a token in the path says what it grants, and nobody without the key can make or change one.

The format is published in `docs/reference/signed-urls.md`, with test vectors.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlsplit

from mamkit.clock import Clock, utc_now
from mamkit.signing import _base64
from mamkit.signing._mac import Mac
from mamkit.signing.carriers import COOKIE, PARAMETER
from mamkit.signing.errors import (
    InvalidGrantError,
    SignatureAddressError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureMethodError,
    SignatureScopeError,
    UnknownKeyError,
)
from mamkit.signing.grant import Grant
from mamkit.signing.keyring import KeyRing

__all__ = ["MAX_TOKEN_LENGTH", "UrlSigner", "token_id"]

MAX_TOKEN_LENGTH = 3072  # characters; the longest grant gives 2811
_VERSION = "v1"
_NOT_IN_BASE = re.compile(r"[\x00-\x20\x7f?#@\\]")
_PARTS = 4  # version, key id, claims, signature


class UrlSigner:
    """Makes and verifies tokens.

    Args:
        ring: Its newest key signs, all of its keys verify.
        clock: Looked at for verifying.
        leeway: How long after its expiry a token is still taken, for clocks that are apart.

    Raises:
        InvalidGrantError: `leeway` is negative.
    """

    def __init__(self, ring: KeyRing, *, clock: Clock = utc_now, leeway: timedelta = timedelta(seconds=5)) -> None:
        if leeway < timedelta(0):
            raise InvalidGrantError("a leeway", "it is negative")
        self._ring = ring
        self._kid = ring.current[0]
        self._macs = {kid: Mac(ring[kid]) for kid in ring}
        self._clock = clock
        self._leeway = leeway

    def __repr__(self) -> str:
        return f"<UrlSigner {self._ring!r}>"

    def now(self) -> datetime:
        """Return the time that grants are held against."""
        return self._clock()

    def sign(self, grant: Grant) -> str:
        """Return a token for a grant. Whoever has it may do what it grants, so keep it out of logs; see `token_id`."""
        signed = f"{_VERSION}.{self._kid}.{_base64.encode(grant.text().encode())}"
        return f"{signed}.{_base64.encode(self._macs[self._kid].digest(signed.encode()))}"

    def url(self, base: str, grant: Grant, key: str, *, carrier: Literal["path", "query"] = "path") -> str:
        """Return the URL of a key.

        Args:
            base: URL that the edge is reached at, without query and fragment; empty for a URL on the same host.
            grant: What the URL grants.
            key: A key in its scope.
            carrier: `path` gives `{base}/s/{token}/{key}`: a relative URI in that object takes the token along. `query`
                gives `{base}/s/{key}?grant={token}`, for one object, or for a player that then holds a cookie.

        Raises:
            SignatureScopeError: The grant does not cover the key.
            InvalidGrantError: `base` is no such URL.
        """
        if not grant.covers(key):
            raise SignatureScopeError(key, grant.scope)
        base = _checked_base(base)
        if carrier == "query":
            return f"{base}/s/{quote(key, safe='/')}?{PARAMETER}={self.sign(grant)}"
        return f"{base}/s/{self.sign(grant)}/{quote(key, safe='/')}"

    def cookie(
        self, base: str, grant: Grant, *, secure: bool = True, same_site: Literal["Lax", "Strict", "None"] = "None"
    ) -> str:
        """Return the value of a `Set-Cookie` header (RFC 6265 section 4.1) that carries a grant.

        Its path is that of the scope, so that grants for several prefixes stand side by side and each is sent only with
        requests below its own; scripts cannot read it; and it goes when the grant expires.

        Args:
            base: URL that the edge is reached at, as for `url`.
            grant: What the cookie grants.
            secure: Whether it is sent over https only, which browsers demand where `same_site` is `None`.
            same_site: `None` for a player on another site than the edge.

        Raises:
            InvalidGrantError: `base` is no such URL.
        """
        path = f"{urlsplit(_checked_base(base)).path}/s/{quote(grant.scope, safe='/')}"
        age = max(0, int((grant.expires_at - self._clock()).total_seconds()))
        attributes = f"Path={path}; Max-Age={age}; HttpOnly; SameSite={same_site}"
        return f"{COOKIE}={self.sign(grant)}; {attributes}" + ("; Secure" if secure else "")

    def verify(self, token: str, *, key: str, method: str = "GET", address: str | None = None) -> Grant:
        """Return the grant of a token that allows what is asked; anything else raises.

        The conditions of the grant are the caller's to check.

        Args:
            token: As it stands in the path; `find_token` takes it out of that.
            key: The rest of the path, percent-decoded exactly once and otherwise untouched.
            method: HTTP method of the request, as sent.
            address: IP address of the client, None if it is not known.

        Raises:
            SignatureInvalidError: The token was not signed with a key of the ring, or is not spelled as it was.
            SignatureExpiredError: It is not good any more.
            SignatureScopeError: It does not grant the key, or `key` is not plain (`mamkit.signing.is_plain_key`).
            SignatureMethodError: It does not grant the method.
            SignatureAddressError: It is bound to another address.
        """
        grant = self.open(token)
        self.check(grant, key=key, method=method, address=address)
        return grant

    def check(self, grant: Grant, *, key: str, method: str = "GET", address: str | None = None) -> None:
        """Hold a grant that `open` returned against a request; see `verify`, which is both in one.

        Raises:
            SignatureExpiredError: It is not good any more.
            SignatureScopeError: It does not grant the key, or `key` is not plain.
            SignatureMethodError: It does not grant the method.
            SignatureAddressError: It is bound to another address.
        """
        if self._clock() - self._leeway >= grant.expires_at:
            raise SignatureExpiredError(grant.expires_at)
        if not grant.covers(key):
            raise SignatureScopeError(key, grant.scope)
        if method not in grant.methods:
            raise SignatureMethodError(method, grant.methods)
        if not grant.admits(address):
            raise SignatureAddressError(address, str(grant.address))

    def open(self, token: object) -> Grant:
        """Return the grant of a token that a key of the ring has signed, expired or not.

        Whoever sees a token with many requests may remember what this returned, and `check` each request.

        Raises:
            SignatureInvalidError: The token was not signed with a key of the ring, or is not spelled as it was.
        """
        if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise SignatureInvalidError("it is too long, or no token at all")
        parts = token.split(".")
        if len(parts) != _PARTS or parts[0] != _VERSION:
            whole = "it is a URL or a path; find_token takes the token out of it"
            raise SignatureInvalidError(whole if "/" in token else "it is no token of this version")
        _, kid, claims, signature = parts
        mac = self._macs.get(kid)
        if mac is None:
            raise UnknownKeyError(kid)
        wanted = _base64.encode(mac.digest(token[: -len(signature) - 1].encode()))
        # The signature is compared as it is spelled, so there is one spelling of it.
        if not hmac.compare_digest(wanted, signature):
            raise SignatureInvalidError
        try:
            return Grant.parse(_base64.decode(claims).decode())
        except ValueError as error:  # signed with our key, though not by this code
            raise SignatureInvalidError("its claims cannot be read") from error


def token_id(token: str) -> str:
    """Return 16 hexadecimal digits that tell a token from others, for logs: whoever reads them cannot use them."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()[:16]


def _checked_base(base: str) -> str:
    if not base.isascii() or _NOT_IN_BASE.search(base):
        raise InvalidGrantError("a base URL", "it must be scheme, host and path only")
    return base.rstrip("/")
