"""A file that gathers an object until it is whole, and that a later download goes on with."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from mamkit.storage._body import BLOCK_SIZE
from mamkit.storage._buffers import fill
from mamkit.storage._hashing import Sha256
from mamkit.storage.protocols import ObjectBody

__all__ = ["Partial", "partial_of"]


class Partial:
    """The first bytes of an object, in a file that nobody else writes to.

    Args:
        path: Name of the file.
        file: Opened for reading and appending, unbuffered, at its start.
        digest: Of what is in the file.
    """

    def __init__(self, path: Path, file: FileIO, digest: Sha256) -> None:
        self.path = path
        self._file = file
        self._digest = digest
        self.size = 0
        while count := file.readinto(buffer := digest.buffer()):
            digest.update(buffer[:count])
            self.size += count

    @property
    def sha256(self) -> str:
        """Digest of what is in the file, lower-case hexadecimal."""
        return self._digest.hexdigest()

    def append(self, view: memoryview) -> None:
        """Add the next bytes; the buffer may be used again then."""
        # A piece at a time, which the processor still has at hand for the second.
        for start in range(0, len(view), BLOCK_SIZE):
            self._add(view[start : start + BLOCK_SIZE])
        self._digest.settle()

    def drain(self, body: ObjectBody) -> Iterator[int]:
        """Add all bytes of a body, block by block; yields the size after each."""
        while count := fill(body, buffer := self._digest.buffer()):
            self._add(buffer[:count])
            yield self.size

    def _add(self, piece: memoryview) -> None:
        self._digest.update(piece)
        left = piece
        while left:
            left = left[self._file.write(left) :]
        self.size += len(piece)


@contextmanager
def partial_of(path: Path, etag: str) -> Iterator[Partial]:
    """Open the file beside `path` that gathers the object of this ETag.

    One that another download is at work on, in this process or in another, is left to it: this one then has a file of
    its own, which does not outlive it.

    Raises:
        OSError: The file cannot be made or read.
    """
    place = path.with_name(f".{path.name[:100]}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part")
    with place.open("ab+", buffering=0) as file:
        if _is_ours(place, file):
            file.seek(0)
            with Sha256() as digest:
                yield Partial(place, file, digest)
            return
    place = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        with place.open("xb+", buffering=0) as file, Sha256() as digest:
            yield Partial(place, file, digest)
    finally:
        place.unlink(missing_ok=True)


def _is_ours(place: Path, file: FileIO) -> bool:
    """Return whether nobody else has the file, and it has its name still; the lock goes when the file is closed."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(place.stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False
