"""Signing and verifying: signed URLs beside itsdangerous (SHA-256) and PyJWT (HS256), with the same claims in each.

Every side signs a scope, an expiry and methods that it is given, a new scope each time, and reads them back checked
against the clock; ours also holds a key and a method of the request against them. Nothing is remembered between calls.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import itsdangerous
import jwt

from benchmarks._harness import QUICK_ROUNDS, ROUNDS, Row, main, median, ratio_of_rounds, rounds_of
from mamkit.signing import Grant, KeyRing, UrlSigner

COUNT = 2000  # calls of one round
SECRET = b"s" * 32
EXPIRY = int(time.time()) + 3600
SCOPES = [f"previews/0190{number:04x}/abc/" for number in range(COUNT)]
TARGET = 1.5

URLS = UrlSigner(KeyRing({"k1": SECRET}))
SERIALIZER = itsdangerous.URLSafeTimedSerializer(SECRET, signer_kwargs={"digest_method": hashlib.sha256})


def claims(scope: str) -> dict[str, object]:
    """Return what the peers sign."""
    return {"scope": scope, "exp": EXPIRY, "methods": "GET,HEAD"}


def ours_sign(scope: str) -> str:
    """Sign with mamkit."""
    return URLS.sign(Grant(scope=scope, expires_at=datetime.fromtimestamp(EXPIRY, UTC)))


def its_sign(scope: str) -> str | bytes:
    """Sign with itsdangerous."""
    return SERIALIZER.dumps(claims(scope))


def jwt_sign(scope: str) -> str:
    """Sign with PyJWT."""
    return jwt.encode(claims(scope), SECRET, "HS256")


def rate(call: Callable[[int], object]) -> float:
    """Return calls a second."""
    start = time.perf_counter()
    for number in range(COUNT):
        call(number)
    return COUNT / (time.perf_counter() - start)


def measure(rounds: int) -> list[Row]:
    """Return the rows."""
    rounds *= 3  # short ones, so that a neighbour on the machine disturbs few of them
    ours = [ours_sign(scope) for scope in SCOPES]
    its = [its_sign(scope) for scope in SCOPES]
    jwts = [jwt_sign(scope) for scope in SCOPES]
    signing = rounds_of(
        {
            "mamkit": lambda: rate(lambda number: ours_sign(SCOPES[number])),
            "itsdangerous": lambda: rate(lambda number: its_sign(SCOPES[number])),
            "PyJWT": lambda: rate(lambda number: jwt_sign(SCOPES[number])),
        },
        rounds,
    )
    verifying = rounds_of(
        {
            "mamkit": lambda: rate(lambda number: URLS.verify(ours[number], key=f"{SCOPES[number]}index.m3u8")),
            "itsdangerous": lambda: rate(lambda number: SERIALIZER.loads(its[number], max_age=3600)),
            "PyJWT": lambda: rate(lambda number: jwt.decode(jwts[number], SECRET, ["HS256"])),
        },
        rounds,
    )
    rows = []
    for what, found in (("sign", signing), ("verify", verifying)):
        for peer, options in (("itsdangerous", "URLSafeTimedSerializer, SHA-256"), ("PyJWT", "HS256")):
            rows.append(
                Row(
                    name=f"{what} a grant",
                    ours=median(found["mamkit"]),
                    unit="1/s",
                    peer=f"{peer} ({options})",
                    peer_value=median(found[peer]),
                    paired=ratio_of_rounds(found["mamkit"], found[peer]),
                    target=f">= {TARGET}",
                )
            )
    return rows


if __name__ == "__main__":
    main("signing", lambda quick: measure(QUICK_ROUNDS if quick else ROUNDS))
