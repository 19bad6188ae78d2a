"""Where a request carries its token: in the path, as a query parameter, or in a cookie."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from mamkit.signing.errors import SignatureInvalidError, SignatureScopeError

__all__ = ["COOKIE", "PARAMETER", "Carried", "find_token"]

PARAMETER = "grant"
"""Name of the query parameter."""
COOKIE = "mamkit_grant"
"""Name of the cookie."""

_MAX_COOKIES = 8  # grants of one request that are tried; a browser sends one for each prefix that the path is below
_PATH = re.compile(r"/s/(?:(v1\.[^/]*)/)?(.*)", re.DOTALL)
_IN_QUERY = re.compile(rf"(?:^|&){PARAMETER}=([^&]*)")
_IN_COOKIE = re.compile(rf"(?:^|;)[ \t]*{COOKIE}=([^; \t]*)")


@dataclass(frozen=True, slots=True)
class Carried:
    """What a request asks for, and the tokens that it shows."""

    key: str
    """Percent-decoded once; not checked."""
    tokens: tuple[str, ...] = field(repr=False)
    """One, or several cookies in the order in which they are to be tried; not checked."""
    by: str
    """`path`, `query` or `cookie`."""


def find_token(path: str, *, query: str = "", cookie: str = "") -> Carried:
    """Return the key that a request asks for, and its token: the path's, else the query's, else those of cookies.

    Args:
        path: As it was sent, percent-encoded, from `/s/` on.
        query: As it was sent, without the question mark.
        cookie: Value of the `Cookie` header.

    Raises:
        SignatureInvalidError: There is no token.
        SignatureScopeError: The key is not UTF-8.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise SignatureInvalidError("the path has none")
    token, encoded = match.groups()
    try:
        key = unquote_to_bytes(encoded).decode() if "%" in encoded or not encoded.isascii() else encoded
    except UnicodeDecodeError:
        raise SignatureScopeError(encoded, "keys in UTF-8") from None
    if token is not None:
        return Carried(key, (token,), "path")
    if carried := _IN_QUERY.search(query):
        return Carried(key, (carried[1],), "query")
    cookies = tuple(_IN_COOKIE.findall(cookie))[:_MAX_COOKIES]
    if not cookies:
        raise SignatureInvalidError("there is none in the path, the query or a cookie")
    return Carried(key, cookies, "cookie")
