"""Passwords, kept as Argon2id hashes (RFC 9106)."""

import base64
import os
import threading
from dataclasses import dataclass

from mamkit.auth.errors import (
    HashingUnavailableError,
    InvalidCredentialsError,
    PasswordTooLongError,
    WeakPasswordError,
)
from mamkit.auth.strength import normal
from mamkit.errors import MissingExtraError

try:
    import argon2
except ImportError as error:
    raise MissingExtraError("auth", package="argon2-cffi") from error

__all__ = ["OWASP_MINIMUM", "RFC_9106_LOW_MEMORY", "PasswordHasher", "Profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much work one Argon2id hash is. Hashes carry their profile, so that changing it keeps old ones valid."""

    time_cost: int
    """Passes over the memory."""
    memory_kib: int
    """Memory of one hash, KiB."""
    parallelism: int
    """Lanes that are computed side by side."""
    salt_bytes: int = 16
    """RFC 9106 section 4: 128 bits are enough for all applications."""
    hash_bytes: int = 32
    """RFC 9106 section 4: 256 bits."""


RFC_9106_LOW_MEMORY = Profile(time_cost=3, memory_kib=64 * 1024, parallelism=4)
"""Second recommended option of RFC 9106 section 4."""

OWASP_MINIMUM = Profile(time_cost=2, memory_kib=19 * 1024, parallelism=1)
"""Least of the OWASP Password Storage Cheat Sheet, for small machines."""


class PasswordHasher:
    """Hashes and verifies passwords. Synchronous, slow on purpose, safe to share between threads.

    Passwords are taken as Unicode text in form NFKC (NIST SP 800-63B section 5.1.1.2), so that the same password typed
    on two keyboards is the same.

    Args:
        profile: Work of one hash.
        max_concurrent: Hashes computed at once; further callers wait. Bounds the memory to
            `max_concurrent * profile.memory_kib` KiB.
        max_bytes: Longest password taken, bytes of UTF-8; longer ones are refused before any work is done.
    """

    def __init__(
        self,
        profile: Profile = RFC_9106_LOW_MEMORY,
        *,
        max_concurrent: int = 4,
        max_bytes: int = 1024,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=profile.time_cost,
            memory_cost=profile.memory_kib,
            parallelism=profile.parallelism,
            salt_len=profile.salt_bytes,
            hash_len=profile.hash_bytes,
            type=argon2.Type.ID,
        )
        self._slots = threading.BoundedSemaphore(max_concurrent)
        self._max_bytes = max_bytes
        self._nobody = _unmatchable(profile)
        self._profile = argon2.extract_parameters(self._nobody)

    def hash(self, password: str) -> str:
        """Return the hash to store for a password, in PHC string format.

        Its strength is not looked at, so that a hash can be renewed at a login: `check_strength` is for new passwords.

        Raises:
            PasswordTooLongError: It has more than `max_bytes` bytes; nothing is computed.
            WeakPasswordError: It is not valid Unicode text.
            HashingUnavailableError: There is not enough memory.
        """
        self._check_size(password)
        secret = normal(password)
        with self._slots:
            try:
                return self._argon2.hash(secret)
            except argon2.exceptions.HashingError as error:
                raise HashingUnavailableError from error

    def verify(self, stored: str | None, password: str) -> None:
        """Return if the password is the stored one.

        Args:
            stored: What `hash` returned, or None for a user who does not exist or has no password: that takes as long
                and raises the same error, so that nobody learns who has an account.
            password: What was typed.

        Raises:
            InvalidCredentialsError: It is another password, or `stored` is None or no Argon2 hash.
            PasswordTooLongError: It has more than `max_bytes` bytes; nothing is computed.
            HashingUnavailableError: There is not enough memory.
        """
        self._check_size(password)
        try:
            secret = normal(password)
        except WeakPasswordError:
            stored, secret = None, ""  # no stored password is like this; the work is done all the same
        if stored is None or _profile_of(stored) is None:
            stored = self._nobody
        with self._slots:
            try:
                self._argon2.verify(stored, secret)
            except argon2.exceptions.VerifyMismatchError as error:
                raise InvalidCredentialsError from error
            except argon2.exceptions.VerificationError as error:
                raise HashingUnavailableError from error

    def needs_rehash(self, stored: str) -> bool:
        """Return whether a stored hash was made with another profile, or is no Argon2 hash.

        Renew it while the password is at hand. As long as hashes of another profile are kept, the time of a failed
        login tells them from accounts that do not exist.
        """
        return _profile_of(stored) != self._profile

    def _check_size(self, password: str) -> None:
        size = len(password.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            raise PasswordTooLongError(size=size, max_bytes=self._max_bytes)


def _profile_of(stored: str) -> argon2.Parameters | None:
    try:
        return argon2.extract_parameters(stored)
    except ValueError:  # InvalidHashError is one
        return None


def _unmatchable(profile: Profile) -> str:
    """Return a stored hash that costs what the profile's hashes cost and that no known password has."""
    salt, digest = (
        base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (profile.salt_bytes, profile.hash_bytes)
    )
    work = f"m={profile.memory_kib},t={profile.time_cost},p={profile.parallelism}"
    return f"$argon2id$v=19${work}${salt}${digest}"
