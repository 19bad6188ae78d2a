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
from mamkit.storage._buffers import buffer_of, fill
from mamkit.storage._files import mover, write_all
from mamkit.storage._following import FileSha256
from mamkit.storage.protocols import ObjectBody

__all__ = ["Partial", "partial_of"]


class Partial:
    """The first bytes of an object, in a file that nobody else writes to.

    Args:
        path: Name of the file.
        file: Opened for reading and writing, unbuffered.
        digest: Of the file; None if it is not to be hashed.
    """

    def __init__(self, path: Path, file: FileIO, digest: FileSha256 | None) -> None:
        self.path = path
        self._file = file
        self._digest = digest
        if digest is None:
            file.truncate(0)  # nothing would tell what a crash has left from what had arrived
        self.size = file.seek(0, os.SEEK_END)
        self._grown(self.size)

    @property
    def sha256(self) -> str | None:
        """Digest of what is in the file, lower-case hexadecimal; None if it is not hashed."""
        return None if self._digest is None else self._digest.hexdigest()

    def append(self, view: memoryview) -> None:
        """Add the next bytes; the buffer may be used again then."""
        write_all(self._file.fileno(), view)
        self.size += len(view)
        self._grown(len(view), view)

    def drain(self, body: ObjectBody) -> Iterator[int]:
        """Add all bytes of a body; yields the size again and again."""
        move = mover(body)
        while move is not None and (count := move(self._file.fileno())):
            self.size += count
            self._grown(count)
            yield self.size
        buffer = buffer_of(BLOCK_SIZE)
        while count := fill(body, buffer):
            self.append(buffer[:count])
            yield self.size

    def _grown(self, count: int, view: memoryview | None = None) -> None:
        if self._digest is not None:
            self._digest.grow(count, view)


@contextmanager
def partial_of(path: Path, etag: str, *, hashed: bool = True) -> Iterator[Partial]:
    """Open the file beside `path` that gathers the object of this ETag.

    One that another download is at work on, in this process or in another, is left to it: this one then has a file of
    its own, which does not outlive it.

    Args:
        path: Where the object is to be.
        etag: Of the object.
        hashed: Whether what is there already is gone on with and hashed, like all that comes.

    Raises:
        OSError: The file cannot be made or read.
    """
    place = path.with_name(f".{path.name[:100]}.{hashlib.sha256(etag.encode()).hexdigest()[:16]}.part")
    with _opened(place, os.O_CREAT) as file:
        if _is_ours(place, file):
            with _followed(place, file, hashed=hashed) as partial:
                yield partial
            return
    place = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        with _opened(place, os.O_CREAT | os.O_EXCL) as file, _followed(place, file, hashed=hashed) as partial:
            yield partial
    finally:
        place.unlink(missing_ok=True)


def _opened(place: Path, flags: int) -> FileIO:
    return FileIO(os.open(place, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o666), "rb+")


@contextmanager
def _followed(place: Path, file: FileIO, *, hashed: bool) -> Iterator[Partial]:
    if not hashed:
        yield Partial(place, file, None)
        return
    with FileSha256(file.fileno()) as digest:
        yield Partial(place, file, digest)


def _is_ours(place: Path, file: FileIO) -> bool:
    """Return whether nobody else has the file, and it has its name still; the lock goes when the file is closed."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(place.stat(), os.fstat(file.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False
