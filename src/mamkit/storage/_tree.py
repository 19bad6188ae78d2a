"""The folders of a local store: changes of names, all or nothing, by one process at a time.

Nothing but names is touched under the lock, so that it is held for a few system calls. The kernel frees it when its
holder dies.
"""

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mamkit.storage._files import write_all
from mamkit.storage.errors import StorageError, StorageFullError, StorageUnavailableError

__all__ = ["Scratch", "Tree", "is_object", "os_errors"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def os_errors(subject: str) -> Iterator[None]:
    """Raise what the operating system reports as a `StorageError` about `subject`.

    Raises:
        StorageFullError: There is no room (ENOSPC, EDQUOT), or a file may not be as large (EFBIG).
        StorageUnavailableError: It reported anything else.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(subject, error.errno) from error
        raise StorageUnavailableError(subject, error.strerror or str(error)) from error


def is_object(found: os.stat_result) -> bool:
    """Return whether this is a plain file; symbolic links, pipes and folders are nobody's object."""
    return stat.S_ISREG(found.st_mode)


class Tree:
    """The folders below one root.

    Args:
        root: Made if it is not there.
        durable: Whether changes are on the disk, not only in the kernel, when a method returns.
    """

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.root = root
        self.durable = durable
        self._scratch = root / ".scratch"
        self._lock = root / ".lock"
        self.make_folder(self._scratch)
        self._sweep()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one, of all threads and processes, that changes names."""
        # A descriptor of its own for each holder: flock excludes open files from each other, not threads.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            with suppress(OSError):
                # Closing alone would not do it if this process has forked meanwhile.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def scratch(self) -> "Scratch":
        """Open a new file that is not an object yet."""
        with self.locked():  # or a sweep could take it before it is marked as in use
            return Scratch(self._scratch / secrets.token_hex(16), durable=self.durable)

    def scratch_name(self) -> Path:
        """Return a name for a link that is made and used within one hold of the lock."""
        return self._scratch / secrets.token_hex(16)

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, with the lock held.

        A new name is brought to the disk before anybody else can rely on it.
        """
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync(folder.parent)

    def prune(self, folder: Path, *, top: Path) -> None:
        """Remove a folder and those above it, up to but without `top`, as far as they are empty; with the lock held."""
        while folder != top:
            try:
                folder.rmdir()
            except OSError:  # it is in use, or gone already
                return
            folder = folder.parent

    def sync(self, folder: Path) -> None:
        """Bring the names in a folder to the disk, if this tree is durable; a folder that is gone needs none."""
        if not self.durable:
            return
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _sweep(self) -> None:
        """Remove the scratch files of processes that are gone: those that nobody holds a lock on."""
        with self.locked():
            for path in self._scratch.iterdir():
                with suppress(OSError):  # the owner is at work, or it is another user's to clean
                    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink()
                    finally:
                        os.close(descriptor)


class Scratch:
    """A file on its way to become an object, marked as in use as long as it is open.

    Args:
        path: Its name for now.
        durable: Whether `finish` waits for the disk.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self._durable = durable
        # Read only for everybody else from the start: objects are replaced, never written to.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o444)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, opened for reading and writing."""
        return self._descriptor

    def write(self, block: bytes | memoryview) -> None:
        """Append a block, all of it."""
        write_all(self._descriptor, memoryview(block))

    def finish(self) -> os.stat_result:
        """Bring the bytes to the disk, if that is asked for, and return what the file is."""
        if self._durable:
            os.fsync(self._descriptor)
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """Close the file and remove its scratch name, if it still has it."""
        with suppress(OSError):  # an error of close says nothing about bytes that fsync has seen
            os.close(self._descriptor)
        self.path.unlink(missing_ok=True)
