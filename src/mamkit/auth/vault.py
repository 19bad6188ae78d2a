"""Secrets at rest: sealed with a key that is not in the database, and bound to the row they belong to."""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from typing import Protocol

from mamkit.auth.errors import SealedValueError, WeakSecretError
from mamkit.errors import MamkitError, MissingExtraError

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as error:
    raise MissingExtraError("auth", package="cryptography") from error

__all__ = ["SealingKeys", "Vault"]

_VERSION = "mks1"  # kind and version, so that the format can change one day
_SHAPE = re.compile(rf"{_VERSION}\.([A-Za-z0-9_-]{{1,32}})\.([A-Za-z0-9_-]+)")
_MIN_SECRET_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1: the length that GCM is made for
_CONTEXT = b"mamkit vault key 1\0"  # keeps this use of a key apart from any other


class SealingKeys(Protocol):
    """The secrets that seal, by key id; `mamkit.signing.KeyRing` is one."""

    @property
    def current(self) -> tuple[str, bytes]:
        """Key id and secret that new values are sealed with."""

    def __getitem__(self, kid: str, /) -> bytes:
        """Return the secret of a key id; raise `LookupError` or a `MamkitError` for one that is not there."""

    def __iter__(self) -> Iterator[str]:
        """Yield the key ids, the newest first."""


class Vault:
    """Seals and opens values: AES-256-GCM (NIST SP 800-38D) with a random nonce for each.

    A sealed value says which key it was sealed with, so that keys can be changed: put a new one in front, `reseal` what
    is kept, take the old one away. A key seals at most 2^32 values (NIST SP 800-38D section 8.3).

    Args:
        keys: Secrets of at least 32 bytes; the AES key is derived from each by BLAKE2b.

    Raises:
        WeakSecretError: A secret is too short.
    """

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys
        for kid in keys:
            self._cipher(kid)

    def seal(self, value: bytes, *, where: str) -> str:
        """Return a value in a form that can be kept anywhere.

        Args:
            value: The secret.
            where: Names the place it is kept in, e.g. `totp:{user_id}`; it opens under the same name only, so that
                nobody who can write the database gives one row another row's secret.
        """
        kid, _ = self._keys.current
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(kid).encrypt(nonce, value, _bound(kid, where))
        return f"{_VERSION}.{kid}.{base64.urlsafe_b64encode(nonce + sealed).rstrip(b'=').decode()}"

    def open(self, sealed: str, *, where: str) -> bytes:
        """Return the value again.

        Raises:
            SealedValueError: It was changed, belongs elsewhere, or its key is not there.
        """
        kid, blob = self._split(sealed)
        try:
            return self._cipher(kid).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], _bound(kid, where))
        except InvalidTag as error:
            raise SealedValueError("it was changed, or belongs to another row") from error

    def is_current(self, sealed: str) -> bool:
        """Return whether a value is sealed with the newest key.

        Raises:
            SealedValueError: It is no sealed value, or its key is not there.
        """
        return self._split(sealed)[0] == self._keys.current[0]

    def reseal(self, sealed: str, *, where: str) -> str:
        """Return the value sealed with the newest key.

        Raises:
            SealedValueError: As for `open`.
        """
        return self.seal(self.open(sealed, where=where), where=where)

    def _split(self, sealed: str) -> tuple[str, bytes]:
        match = _SHAPE.fullmatch(sealed)
        if match is None:
            raise SealedValueError("it is none")
        kid = match[1]
        self._cipher(kid)
        try:
            blob = base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4))
        except ValueError as error:
            raise SealedValueError("it is cut short") from error
        if len(blob) <= _NONCE_BYTES:
            raise SealedValueError("it is cut short")
        return kid, blob

    def _cipher(self, kid: str) -> AESGCM:
        try:
            secret = self._keys[kid]
        except (LookupError, MamkitError) as error:
            raise SealedValueError(f"there is no key {kid}") from error
        if len(secret) < _MIN_SECRET_BYTES:
            raise WeakSecretError("the sealing key", size=len(secret))
        return AESGCM(hashlib.blake2b(_CONTEXT + secret, digest_size=32).digest())


def _bound(kid: str, where: str) -> bytes:
    return f"{_VERSION}\0{kid}\0{where}".encode()
