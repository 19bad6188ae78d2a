"""Sliding renewal: a cookie that is replaced by a longer one while a film plays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mamkit.signing import Carried, Grant, UrlSigner

__all__ = ["LIMIT", "renewed_cookie"]

LIMIT = "renew-until"
"""Condition of a grant: Unix time until which the edge may renew it."""


def renewed_cookie(
    signer: UrlSigner, carried: Carried, grant: Grant, *, lifetime: timedelta, secure: bool
) -> str | None:
    """Return a `Set-Cookie` value with a grant that lives longer; None if it is too early, too late, or not allowed.

    A grant in the query becomes a cookie at once, so that what a playlist names is opened too; a cookie is renewed in
    the second half of its life. Never past the condition `renew-until`, and never for a grant without it.

    Args:
        signer: Of the installation.
        carried: Where the request carries its token.
        grant: What that grants.
        lifetime: Of the new grant.
        secure: Whether the cookie goes over https only.
    """
    limit = grant.conditions.get(LIMIT, "")
    if (
        carried.by == "path" or not limit.isascii() or not limit.isdecimal() or len(limit) > 11
    ):  # digits of a second in the year 5138
        return None
    now = signer.now()
    until = min(now + lifetime, datetime.fromtimestamp(int(limit), UTC))
    if carried.by == "query":
        until = max(until, grant.expires_at)
    elif grant.expires_at - now > lifetime / 2 or until <= grant.expires_at:
        return None
    cookie = replace(grant, expires_at=until)
    return signer.cookie("", cookie, secure=secure, same_site="None" if secure else "Lax")
