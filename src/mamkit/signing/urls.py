"""Signed URLs: a token in the path says what it grants, and nobody without the key can make or change one.

The format is published in `docs/reference/signed-urls.md`, with test vectors.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta
from urllib.parse import quote

from mamkit.clock import Clock, utc_now
from mamkit.signing import _base64
from mamkit.signing.errors import (
    InvalidGrantError,
    SignatureAddressError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureMethodError,
    SignatureScopeError,
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
        self._clock = clock
        self._leeway = leeway

    def __repr__(self) -> str:
        return f"<UrlSigner {self._ring!r}>"

    def now(self) -> datetime:
        """Return the time that grants are held against."""
        return self._clock()

    def sign(self, grant: Grant) -> str:
        """Return a token for a grant. Whoever has it may do what it grants, so keep it out of logs; see `token_id`."""
        kid, secret = self._ring.current
        signed = f"{_VERSION}.{kid}.{_base64.encode(grant.text().encode())}"
        return f"{signed}.{_signature(secret, signed)}"

    def url(self, base: str, grant: Grant, key: str) -> str:
        """Return the URL of a key, `{base}/s/{token}/{key}`; a relative URI in that object takes the token along.

        Args:
            base: URL that the edge is reached at, without query and fragment; empty for a URL on the same host.
            grant: What the URL grants.
            key: A key in its scope.

        Raises:
            SignatureScopeError: The grant does not cover the key.
            InvalidGrantError: `base` is no such URL.
        """
        if not grant.covers(key):
            raise SignatureScopeError(key, grant.scope)
        if not base.isascii() or _NOT_IN_BASE.search(base):
            raise InvalidGrantError("a base URL", "it must be scheme, host and path only")
        return f"{base.rstrip('/')}/s/{self.sign(grant)}/{quote(key, safe='/')}"

    def verify(self, token: str, *, key: str, method: str = "GET", address: str | None = None) -> Grant:
        """Return the grant of a token that allows what is asked; anything else raises.

        The conditions of the grant are the caller's to check.

        Args:
            token: As it stands in the path.
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
        grant = self._open(token)
        if self._clock() - self._leeway >= grant.expires_at:
            raise SignatureExpiredError(grant.expires_at)
        if not grant.covers(key):
            raise SignatureScopeError(key, grant.scope)
        if method not in grant.methods:
            raise SignatureMethodError(method, grant.methods)
        if not grant.admits(address):
            raise SignatureAddressError(address, str(grant.address))
        return grant

    def _open(self, token: object) -> Grant:
        """Return the grant of a token that a key of the ring has signed."""
        if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise SignatureInvalidError("it is too long, or no token at all")
        parts = token.split(".")
        if len(parts) != _PARTS or parts[0] != _VERSION:
            raise SignatureInvalidError("it is no token of this version")
        _, kid, claims, signature = parts
        signed = token[: -len(signature) - 1]
        # The signature is compared as it is spelled, so there is one spelling of it.
        if not hmac.compare_digest(_signature(self._ring[kid], signed), signature):
            raise SignatureInvalidError
        try:
            return Grant.parse(_base64.decode(claims).decode())
        except ValueError as error:  # signed with our key, though not by this code
            raise SignatureInvalidError("its claims cannot be read") from error


def token_id(token: str) -> str:
    """Return 16 hexadecimal digits that tell a token from others, for logs: whoever reads them cannot use them."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()[:16]


def _signature(secret: bytes, signed: str) -> str:
    return _base64.encode(hmac.digest(secret, signed.encode(), "sha256"))
