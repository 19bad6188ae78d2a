"""What keeps logins in a browser safe: forged requests are refused, and nobody is sent to a stranger's site.

A cookie goes along with every request to its site, whoever wrote the page that sends it. So a request that changes
something must also show what only our own pages can know: a token that is bound to the session.
"""

import base64
import hmac
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from mamkit.auth.errors import CsrfError, RedirectRefusedError, WeakSecretError

__all__ = ["CsrfTokens", "check_origin", "check_return_path"]

_CONTEXT = b"mamkit csrf token 1\0"  # keeps this use of the secret apart from any other
_MIN_SECRET_BYTES = 32
_SALT_CHARS = 22  # 16 bytes in base64url


class CsrfTokens:
    """Tokens that belong to one session (OWASP: signed double-submit cookie).

    A page gets the token in its body or in a cookie that scripts can read, and sends it back in a header; pages of
    other sites can do neither.

    Args:
        secret: At least 32 random bytes, the same in all processes.

    Raises:
        WeakSecretError: It is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _MIN_SECRET_BYTES:
            raise WeakSecretError("the CSRF secret", size=len(secret))
        self._secret = secret

    def issue(self, session: str) -> str:
        """Return a token for a session.

        Args:
            session: What names it and changes at a login, e.g. `SessionGrant.family` as text.
        """
        salt = secrets.token_urlsafe(16)
        return salt + self._mac(salt, session)

    def check(self, token: str | None, session: str) -> None:
        """Return if the token is one of this session.

        Raises:
            CsrfError: It is missing or another's.
        """
        if not token:
            raise CsrfError("it had no CSRF token")
        salt, mac = token[:_SALT_CHARS], token[_SALT_CHARS:]
        if not token.isascii() or not hmac.compare_digest(mac, self._mac(salt, session)):
            raise CsrfError("its CSRF token is not of this session")

    def _mac(self, salt: str, session: str) -> str:
        digest = hmac.digest(self._secret, _CONTEXT + f"{salt}\0{session}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_origin(origin: str | None, allowed: Collection[str]) -> None:
    """Return if a request that changes something was sent by one of our pages.

    Browsers send the header `Origin` with every request that is not a plain navigation, and pages cannot change it
    (Fetch Standard, "forbidden request-header").

    Args:
        origin: The header; None where there is none, as from programs that are no browser.
        allowed: Our origins, e.g. `https://video.example.org`.

    Raises:
        CsrfError: It is another's, or `null`.
    """
    if origin is not None and origin not in allowed:
        raise CsrfError("it came from a page of another site")


def check_return_path(path: str) -> str:
    r"""Return the path to go to after a login, if it is one of this site.

    Args:
        path: As a stranger may have written it into a link.

    Raises:
        RedirectRefusedError: It is not an absolute path of this site: it names a host (`//host`, `/\host`, `https:…`),
            holds a backslash or a control character, which browsers read as something else, or is relative.
    """
    plain = path.isprintable() and path.isascii() and "\\" not in path and len(path) <= 2000
    if not plain or not path.startswith("/") or path.startswith("//") or "//" in path.partition("?")[0]:
        raise RedirectRefusedError
    parts = urlsplit(path)
    if parts.scheme or parts.netloc:
        raise RedirectRefusedError
    return path
