"""The secrets that sign: several at a time, so that they can be changed without a gap."""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Self

from mamkit.signing import _base64
from mamkit.signing.errors import KeyRingError, UnknownKeyError

__all__ = ["MIN_SECRET_BYTES", "KeyRing"]

MIN_SECRET_BYTES = 32  # as long as the output of SHA-256: RFC 2104 section 3

_KID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class KeyRing:
    """Secrets by key id, the newest first: it signs, all of them verify.

    To change the secret, give a `rotated` ring to all that verify and then to all that sign, wait until what the old
    key signed has expired, and take that key off with `retired`. Immutable; its `repr` shows ids only.

    Args:
        keys: Secrets by key id, the newest first. An id is 1 to 32 ASCII letters, digits, "-" and "_" and is public: it
            stands in every token.

    Raises:
        KeyRingError: There is no key, an id is none, or a secret has less than 32 bytes.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        if not self._keys:
            raise KeyRingError("a key ring needs at least one key; make one with KeyRing.generate()")
        for position, (kid, secret) in enumerate(self._keys.items(), 1):
            # An id that is none may be a secret in the wrong place, so only its position is said.
            if type(kid) is not str or not _KID.fullmatch(kid):
                raise KeyRingError(f"the id of key {position} is not 1 to 32 ASCII letters, digits, '-' and '_'")
            if type(secret) is not bytes or len(secret) < MIN_SECRET_BYTES:
                raise KeyRingError(f"the secret of key {kid!r} is not bytes, or fewer than {MIN_SECRET_BYTES} of them")

    def __repr__(self) -> str:
        return f"<KeyRing {', '.join(self._keys)}>"

    def __iter__(self) -> Iterator[str]:
        """Yield the key ids, the newest first."""
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, kid: object) -> bool:
        return kid in self._keys

    def __getitem__(self, kid: str) -> bytes:
        """Return the secret of a key.

        Raises:
            UnknownKeyError: There is no such key.
        """
        try:
            return self._keys[kid]
        except KeyError:
            raise UnknownKeyError(kid) from None

    @property
    def current(self) -> tuple[str, bytes]:
        """Id and secret of the newest key: the one that signs."""
        return next(iter(self._keys.items()))

    @classmethod
    def generate(cls) -> Self:
        """Return a ring with one new key."""
        return cls({_new_kid(): secrets.token_bytes(MIN_SECRET_BYTES)})

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the ring that a text stands for: `id:secret,id:secret`, the newest first, secrets in base64url.

        White space around the entries does not count, so a secret file may end with a new line.

        Raises:
            KeyRingError: The text is none of that, or names an id twice.
        """
        keys: dict[str, bytes] = {}
        for position, entry in enumerate(text.split(","), 1):
            kid, colon, encoded = entry.strip().partition(":")
            if not colon:
                raise KeyRingError(f"entry {position} of the key ring is not 'id:secret'")
            if kid in keys:
                raise KeyRingError(f"entry {position} of the key ring has the id of another one")
            try:
                keys[kid] = _base64.decode(encoded)
            except ValueError:
                raise KeyRingError(f"the secret of entry {position} is not base64url without padding") from None
        return cls(keys)

    def dump(self) -> str:
        """Return the ring as text, secrets included, as `parse` reads it."""
        return ",".join(f"{kid}:{_base64.encode(secret)}" for kid, secret in self._keys.items())

    def rotated(self) -> "KeyRing":
        """Return a ring that signs with a new key, and verifies with the ones of this ring too."""
        return KeyRing({_new_kid(): secrets.token_bytes(MIN_SECRET_BYTES), **self._keys})

    def retired(self, kid: str) -> "KeyRing":
        """Return this ring without a key: what that key signed is valid no more.

        Raises:
            UnknownKeyError: There is no such key.
            KeyRingError: It is the only one.
        """
        self[kid]
        return KeyRing({other: secret for other, secret in self._keys.items() if other != kid})


def _new_kid() -> str:
    return f"k{secrets.token_hex(4)}"
