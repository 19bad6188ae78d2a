"""Where a film comes from: a file of this machine, or a store that is asked for its bytes as they are needed."""

import io
import stat
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from mamkit.transcode.errors import SourceUnavailableError

__all__ = ["AnySource", "LocalSource", "RangeFile", "RangeSource", "Source", "source_of"]


@runtime_checkable
class RangeSource(Protocol):
    """A film that lies elsewhere, and whose bytes do not change."""

    @property
    def name(self) -> str:
        """A file name, for demuxers and for messages."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, start: int, size: int) -> bytes:
        """Return exactly the bytes from `start` on, `size` of them or as many as there are; used by one thread."""


class Source(Protocol):
    """What a film is opened from, in the process that opens it."""

    @property
    def name(self) -> str:
        """A file name, for demuxers and for messages."""

    @property
    def size(self) -> int:
        """Bytes."""

    def open(self) -> BinaryIO:
        """Open it for reading and seeking; the caller closes it."""

    def target(self) -> str | BinaryIO:
        """Return what FFmpeg is to open."""


AnySource = str | Path | Source


class LocalSource:
    """A regular file of this machine, under its literal name.

    Args:
        path: Where it is.

    Raises:
        SourceUnavailableError: There is no regular file there, or it may not be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).absolute()
        try:
            facts = self._path.stat()
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            raise SourceUnavailableError(f"{str(self._path)!r} cannot be read: {error}") from error
        if not stat.S_ISREG(facts.st_mode):  # a pipe or a device might never end, or never answer
            raise SourceUnavailableError(f"{str(self._path)!r} is not a regular file")
        self.name = self._path.name
        self.size = facts.st_size

    def open(self) -> BinaryIO:
        """See `Source.open`.

        Raises:
            SourceUnavailableError: It may not be read.
        """
        try:
            return self._path.open("rb")
        except OSError as error:
            raise SourceUnavailableError(f"{str(self._path)!r} cannot be read: {error}") from error

    def target(self) -> str:
        """Return its URL: `concat:…`, `http://…` or `frame%03d.png` are names of local files, too."""
        return f"file:{self._path}"


def source_of(source: AnySource) -> Source:
    """Return a source as one, a path as that of a local file.

    Raises:
        SourceUnavailableError: As for `LocalSource`.
    """
    return LocalSource(source) if isinstance(source, str | Path) else source


class RangeFile(io.RawIOBase):
    """A binary file over range reads; to be used by one thread at a time.

    Args:
        source: Is asked for the bytes.
    """

    def __init__(self, source: RangeSource) -> None:
        super().__init__()
        self.name = source.name
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it.

        Raises:
            ValueError: It is before the start.
        """
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        if base + offset < 0:
            raise ValueError(f"byte {base + offset} is before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override] # the bytes of a buffer
        """Read up to as many bytes as the buffer takes, and return how many; 0 at the end."""
        with memoryview(buffer) as view, view.cast("B") as target:
            size = min(len(target), self._source.size - self._position)
            if size <= 0:
                return 0
            target[:size] = self._source.read(self._position, size)
        self._position += size
        return size
