"""The secrets of an installation: given by the operator, or made at the first start and kept in files of mode 0600."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from mamkit.signing import KeyRing

__all__ = ["key_ring", "load_or_create"]


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


def load_or_create(path: Path, make: Callable[[], str] = _new_secret) -> SecretStr:
    """Return the secret that a file holds; if there is no such file, make one with a new secret.

    Several processes may call this at once for the same path: all get the same secret.

    Args:
        path: Made with mode 0600, its folder with 0700.
        make: Makes a new secret.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(make() + "\n")
            with contextlib.suppress(FileExistsError):  # another process was first; its secret counts
                path.hardlink_to(scratch)
        finally:
            scratch.unlink()
    return SecretStr(path.read_text().strip())


def key_ring(secret: SecretStr) -> KeyRing:
    """Return the key ring that a setting holds: `id:key,id:key` as `KeyRing.dump` writes it, or one plain secret.

    A plain secret gets the start of its SHA-256 as its id, so that every process names it alike.

    Raises:
        KeyRingError: A key is too short, or the text is not a key ring.
    """
    text = secret.get_secret_value()
    if ":" in text:
        return KeyRing.parse(text)
    key = text.encode()
    return KeyRing({hashlib.sha256(key).hexdigest()[:8]: key})
