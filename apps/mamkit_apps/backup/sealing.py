"""Encryption of a backup's files: AES-256-GCM over chunks, so that any length goes through little memory.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015, section 7), as age has it: each file has a key of its
own, the nonce of a chunk is its number in 11 bytes and a byte that is 1 in the last chunk alone. So no chunk can be
changed, moved, left out or cut off. A file's key is derived (HKDF, RFC 5869) from the backup's, from 16 random bytes at
the file's start, and from its name, so that no file can stand in for another.
"""

import base64
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mamkit_apps.backup.errors import BackupDamagedError, BackupKeyError, BackupUnknownError

__all__ = ["Keys", "Sealer"]

CHUNK = 64 << 10  # bytes of plain text, as in age
TAG = 16  # bytes: AES-GCM's (NIST SP 800-38D section 5.2.1.2)
SALT = 16  # bytes (RFC 9106 section 3.1)
KEY = 32  # bytes: AES-256
LEAST_KEY_FILE = 32  # bytes
# RFC 9106 section 4, second recommended option.
TIME_COST, MEMORY_KIB, LANES = 3, 64 << 10, 4
# Of what a stranger's backup may ask for: 8 times as much.
MOST_TIME, MOST_MEMORY_KIB, MOST_LANES = 24, 512 << 10, 32


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What an operator gives to encrypt or decrypt; one of the two."""

    passphrase: str | None = field(default=None, repr=False)
    key_file: Path | None = None

    def sealer(self) -> "Sealer":
        """Return what encrypts a new backup.

        Raises:
            BackupKeyError: The key file is too short, or the passphrase is empty.
        """
        if self.key_file is not None:
            return Sealer(self._of_file(), {"name": "key-file"})
        parameters = {
            "name": "argon2id",
            "salt": base64.b64encode(os.urandom(SALT)).decode(),
            "time_cost": TIME_COST,
            "memory_kib": MEMORY_KIB,
            "lanes": LANES,
        }
        return Sealer(self._of_passphrase(parameters), parameters)

    def opener(self, parameters: Any) -> "Sealer":
        """Return what decrypts a backup.

        Args:
            parameters: How its key is derived, as its head says.

        Raises:
            BackupKeyError: What is needed was not given.
            BackupUnknownError: The key is derived in a way that this version does not know, or that costs too much.
        """
        match parameters:
            case {"name": "key-file"}:
                if self.key_file is None:
                    raise BackupKeyError("the backup is encrypted with a key file; name it with --key-file")
                return Sealer(self._of_file(), parameters)
            case {"name": "argon2id", "salt": str(), "time_cost": int(t), "memory_kib": int(m), "lanes": int(p)}:
                if not (1 <= t <= MOST_TIME and 8 * p <= m <= MOST_MEMORY_KIB and 1 <= p <= MOST_LANES):
                    raise BackupUnknownError("the key of the backup would cost too much to derive")
                if self.passphrase is None:
                    raise BackupKeyError(
                        "the backup is encrypted with a passphrase; name its file with --passphrase-file"
                    )
                return Sealer(self._of_passphrase(parameters), parameters)
            case _:
                raise BackupUnknownError("the backup is encrypted in a way that this version does not know")

    def _of_file(self) -> bytes:
        assert self.key_file is not None  # noqa: S101 - whoever calls has looked
        text = self.key_file.read_bytes()  # all of it: random bytes may look like a line's end
        if len(text) < LEAST_KEY_FILE:
            raise BackupKeyError(f"{self.key_file} needs {LEAST_KEY_FILE} bytes or more, of a random source")
        return HKDF(hashes.SHA256(), KEY, salt=None, info=b"mamkit backup key file v1").derive(text)

    def _of_passphrase(self, parameters: dict[str, Any]) -> bytes:
        if not self.passphrase:
            raise BackupKeyError("the passphrase is empty")
        return hash_secret_raw(
            self.passphrase.encode(),
            base64.b64decode(parameters["salt"]),
            time_cost=parameters["time_cost"],
            memory_cost=parameters["memory_kib"],
            parallelism=parameters["lanes"],
            hash_len=KEY,
            type=Type.ID,
        )


class Sealer:
    """Encrypts and decrypts the files of one backup.

    Args:
        key: 32 bytes.
        parameters: How it was derived; no secret.
    """

    def __init__(self, key: bytes, parameters: dict[str, Any]) -> None:
        self._key = key
        self.parameters = parameters

    def seal(self, name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file, encrypted."""
        salt = os.urandom(SALT)
        cipher = self._cipher(name, salt)
        yield salt
        for number, (chunk, last) in enumerate(_chunks(blocks, CHUNK)):
            yield cipher.encrypt(_nonce(number, last=last), chunk, None)

    def open(self, name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file again, as far as it is what was encrypted.

        Raises:
            BackupDamagedError: It was changed or cut off, or the key is another one.
        """
        stream = _Stream(blocks)
        salt = stream.take(SALT)
        if len(salt) < SALT:
            raise BackupDamagedError(name, "is cut short")
        cipher = self._cipher(name, salt)
        for number, (chunk, last) in enumerate(_chunks(stream.rest(), CHUNK + TAG)):
            try:
                yield cipher.decrypt(_nonce(number, last=last), chunk, None)
            except InvalidTag as error:
                raise BackupDamagedError(name, "was changed or cut short, or the key is another one") from error

    def _cipher(self, name: str, salt: bytes) -> AESGCM:
        info = b"mamkit backup file v1\0" + name.encode()
        return AESGCM(HKDF(hashes.SHA256(), KEY, salt=salt, info=info).derive(self._key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _chunks(blocks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield pieces of one size, and whether each is the last; the last may be shorter, and of nothing it is empty."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        while len(buffer) > size:  # and not `>=`: the last piece must be known when it is yielded
            yield bytes(buffer[:size]), False
            del buffer[:size]
    yield bytes(buffer), True


class _Stream:
    """Blocks of which a beginning can be taken."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._left = b""

    def take(self, size: int) -> bytes:
        while len(self._left) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._left += block
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def rest(self) -> Iterator[bytes]:
        yield self._left
        yield from self._blocks
