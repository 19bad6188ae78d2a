"""The SHA-256 of a stored object."""

import hashlib

from mamkit.storage.models import ObjectInfo
from mamkit.storage.protocols import ObjectReader
from mamkit.storage.transfer import read_ahead

__all__ = ["sha256_of"]


def sha256_of(store: ObjectReader, key: str) -> str:
    """Return the SHA-256 of an object, lower-case hexadecimal: as the store has recorded it, else by reading it.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
        ObjectChangedError: It was replaced while it was being read.
    """
    return digest_of(store, store.head(key))


def digest_of(store: ObjectReader, info: ObjectInfo) -> str:
    """Return the SHA-256 of just the object that these facts are about; `sha256_of` says what is raised."""
    if info.sha256 is not None:
        return info.sha256
    digest = hashlib.sha256()
    for block in read_ahead(store, info):
        digest.update(block)
    return digest.hexdigest()
