"""The SHA-256 of a stored object."""

from mamkit.storage._hashing import Sha256
from mamkit.storage.models import ObjectInfo
from mamkit.storage.protocols import ObjectReader

__all__ = ["sha256_of"]


def sha256_of(store: ObjectReader, key: str) -> str:
    """Return the SHA-256 of an object, lower-case hexadecimal: as the store has recorded it, else by reading it.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key.
    """
    return digest_of(store, store.head(key))[1]


def digest_of(store: ObjectReader, info: ObjectInfo) -> tuple[ObjectInfo, str]:
    """Return the facts of an object and the SHA-256 of just the bytes that they are about."""
    if info.sha256 is not None:
        return info, info.sha256
    with store.get(info.key) as body, Sha256() as digest:
        for block in body:
            digest.update(block)
        return body.info, digest.hexdigest()
