"""The second factor of an authenticator application: six digits that change every 30 seconds (RFC 6238)."""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote, urlencode

from mamkit.auth.errors import SecondFactorError

__all__ = ["Totp", "new_recovery_codes", "new_totp_secret", "recovery_digest", "spend_recovery_code"]

_STEP = 30  # seconds: RFC 6238 section 5.2
_DIGITS = 6  # what all authenticator applications show
_SECRET_BYTES = 20  # as long as the output of SHA-1: RFC 4226 section 4, R6
_DRIFT = 1  # steps before and after the present one: RFC 6238 section 5.2 recommends at most one for delay
_RECOVERY_CODES = 10
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that look alike
_RECOVERY_CHARACTERS = 16  # 79 bits: a plain digest at rest is enough


def new_totp_secret() -> bytes:
    """Return a secret to share with an authenticator application; keep it sealed (`Vault`)."""
    return secrets.token_bytes(_SECRET_BYTES)


class Totp:
    """Checks the codes of one secret.

    Args:
        secret: As `new_totp_secret` made it.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def uri(self, *, issuer: str, account: str) -> str:
        """Return the `otpauth:` address that applications read from a QR code; it holds the secret."""
        label = quote(f"{issuer}:{account}", safe="")
        key = base64.b32encode(self._secret).decode().rstrip("=")
        parameters = {"secret": key, "issuer": issuer, "algorithm": "SHA1", "digits": _DIGITS, "period": _STEP}
        return f"otpauth://totp/{label}?{urlencode(parameters, quote_via=quote)}"

    def code(self, at: datetime) -> str:
        """Return the code of a moment, as the application shows it."""
        return self._code(int(at.timestamp()) // _STEP)

    def check(self, code: str, *, at: datetime, last_step: int | None) -> int:
        """Return the step that a code belongs to, if it is the right one for now; keep it as the next `last_step`.

        Args:
            code: What was typed; white space does not count.
            at: The present time; one step before and after it counts, too.
            last_step: The newest step that was used, so that no code is good twice (RFC 6238 section 5.2). To hold
                against two at once, keep the new one with `UPDATE … WHERE last_step < :new`.

        Raises:
            SecondFactorError: It is another code, or one that was used already.
        """
        typed = re.sub(r"\s", "", code)[: _DIGITS + 1].encode("utf-8", "surrogatepass")
        now = int(at.timestamp()) // _STEP
        matching = [
            step
            for step in range(now - _DRIFT, now + _DRIFT + 1)
            if hmac.compare_digest(self._code(step).encode(), typed) and (last_step is None or step > last_step)
        ]
        if not matching:
            raise SecondFactorError
        return matching[0]

    def _code(self, step: int) -> str:
        # SHA-1 is what applications understand; RFC 6238 needs of it what HMAC-SHA-1 still gives.
        mac = hmac.digest(self._secret, struct.pack(">Q", max(0, step)), "sha1")
        offset = mac[-1] & 0xF  # dynamic truncation: RFC 4226 section 5.3
        number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
        return f"{number % 10**_DIGITS:0{_DIGITS}}"


def new_recovery_codes() -> list[str]:
    """Return ten codes, each good once, for somebody who lost the device; to be shown once."""
    return ["-".join(_random_group() for _ in range(4)) for _ in range(_RECOVERY_CODES)]


def recovery_digest(code: str) -> str:
    """Return what is kept of a recovery code: SHA-256, hexadecimal. Case, hyphens and white space do not count."""
    plain = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


def spend_recovery_code(digests: Iterable[str], code: str) -> str:
    """Return the digest that a code belongs to; take it off with one `DELETE`, so that the code is good once.

    Raises:
        SecondFactorError: It is none of them.
    """
    typed = recovery_digest(code)
    found = [digest for digest in digests if hmac.compare_digest(digest, typed)]
    if not found:
        raise SecondFactorError
    return found[0]


def _random_group() -> str:
    return "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_CHARACTERS // 4))
