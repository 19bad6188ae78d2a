"""What an answer says about itself: caching, origins, refusals."""

import json
import re
from collections.abc import Mapping
from email.utils import format_datetime
from http import HTTPStatus
from typing import Literal

from mamkit.errors import MamkitError
from mamkit.signing import Grant
from mamkit.storage import ObjectInfo, RangeNotSatisfiableError
from mamkit_apps.answers import document, status_of
from mamkit_apps.edge.request import Headers
from mamkit_apps.limits import LimitReachedError

__all__ = ["Origins", "cache_control", "describe", "is_playlist", "refusal"]

GROWING_AGE = 1  # seconds; a growing playlist is asked for every segment or so
ENDED_AGE = 60  # seconds; a finished one is replaced only when its preview is built anew
YEAR = 31536000  # seconds; what RFC 9111 section 4.2.1 and the field take for "as long as you like"
TEXT = ("m3u8", "mpd", "vtt")
# What a browser may show by itself. Whoever uploads says the type: as a page, it would run scripts of theirs here.
SHOWN = re.compile(r"(video|audio|image)/(?!.*xml)|text/(plain|vtt)|application/vnd\.apple\.mpegurl")
ACCEPTED_CONDITIONS = frozenset({"renew-until"})  # all others are about uploads

Sharing = Literal["none", "until-expiry", "cdn-checks-tokens"]


def is_playlist(key: str) -> bool:
    """Return whether an object is a playlist, or other text of a preview."""
    return key.rpartition(".")[2] in TEXT


def describe(info: ObjectInfo) -> Headers:
    """Return the headers that are the same in every answer about an object."""
    return [
        (b"content-type", info.content_type.encode("latin-1")),
        (b"last-modified", format_datetime(info.modified_at, usegmt=True).encode()),
        (b"accept-ranges", b"bytes"),
        (b"content-disposition", b"inline" if SHOWN.match(info.content_type) else b"attachment"),
        (b"x-content-type-options", b"nosniff"),
    ]


def cache_control(
    grant: Grant, left: int, *, playlist: bool, growing: bool, sharing: Sharing, token_in_url: bool
) -> bytes:
    """Return how long an answer may be kept, and by whom.

    A shared cache would go on serving to whoever shows the URL. It may therefore keep what has its token in the URL
    until that expires, if the operator allows it and no address is bound; and more only where it checks tokens itself.

    Args:
        grant: What the request shows.
        left: Seconds until it expires.
        playlist: Whether the object is a playlist; all others never change.
        growing: Whether it is one that still grows.
        sharing: What the operator lets shared caches keep.
        token_in_url: Whether a cache that goes by URLs keeps answers to different grants apart.
    """
    age = (GROWING_AGE if growing else ENDED_AGE) if playlist else YEAR
    if sharing == "cdn-checks-tokens":
        return b"public, max-age=%d" % age + (b"" if playlist else b", immutable")
    shared = sharing == "until-expiry" and token_in_url and grant.address is None
    scope = b"public" if shared else b"private"
    return b"%s, max-age=%d" % (scope, min(age, left)) + (b"" if playlist else b", immutable")


class Origins:
    """Which pages may read answers (the Fetch standard, section 3.2).

    Args:
        allowed: Origins that may send cookies; with none, every page may read, and none may send cookies.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = {origin.encode() for origin in allowed}
        self._exposed = (b"access-control-expose-headers", b"content-length, content-range, accept-ranges, etag")
        self._any: Headers = [(b"access-control-allow-origin", b"*"), self._exposed]

    def headers(self, fields: Mapping[bytes, bytes]) -> Headers:
        """Return the headers that let the page of a request read the answer."""
        if not self._allowed:
            return self._any
        origin = fields.get(b"origin", b"")
        if origin not in self._allowed:
            return [(b"vary", b"origin")]
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            self._exposed,
        ]

    def preflight(self, fields: Mapping[bytes, bytes]) -> Headers:
        """Return the answer to a preflight."""
        return [
            *self.headers(fields),
            (b"access-control-allow-methods", b"GET, HEAD, PUT, POST, DELETE"),
            (b"access-control-allow-headers", b"range, if-none-match, if-modified-since, if-range, content-type"),
            (b"access-control-max-age", b"86400"),
        ]


def refusal(error: MamkitError) -> tuple[HTTPStatus, Headers, bytes] | None:
    """Return the answer to an error of the client's making; None if the fault is ours."""
    headers: Headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if isinstance(error, LimitReachedError):
        status = HTTPStatus.SERVICE_UNAVAILABLE if error.busy else HTTPStatus.TOO_MANY_REQUESTS
        headers.append((b"retry-after", b"%d" % max(1, int(error.retry_after + 1))))
    else:
        found = status_of(error)
        if found is None:
            return None
        status = found
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append((b"retry-after", b"1"))  # the store is away, or an object was replaced just now
    if isinstance(error, RangeNotSatisfiableError):
        headers.append((b"content-range", b"bytes */%d" % error.size))  # RFC 9110 section 15.5.17
    return status, headers, json.dumps(document(status, error.code, str(error))).encode()
