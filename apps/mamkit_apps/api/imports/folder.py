"""A watched folder: files are taken when nobody writes to them any more, and nothing outside of it is touched."""

import errno
import fcntl
import mimetypes
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path, PurePosixPath
from threading import Event

from mamkit.catalog.import_models import Import, ImportKind
from mamkit.previews.ingest import extension_of
from mamkit.storage import Expected, ObjectStore
from mamkit_apps.api.imports.errors import SourceChangedError, SourceTooLargeError
from mamkit_apps.api.imports.holding import Hold
from mamkit_apps.api.imports.sniffing import HEAD, check_head
from mamkit_apps.api.imports.transfer import Transfer, digest_of_staged, staged_key, stoppable
from mamkit_apps.api.imports.watching import DONE, FAILED, Found, origin_of, put_away_name

__all__ = ["Folder", "FolderBringer"]

BLOCK = 1 << 20  # bytes
MOST = 1000  # files that one look gives; the next one gives more
PENDING = 100_000  # files that wait until they are whole, some 200 bytes each; of more, some wait for a later look
MAX_NAME = 1024  # characters of a path within the folder


class Folder:
    """A folder, and the folders in it.

    Names that begin with a dot are left alone, as are symbolic links, and files that have a second name: what they hold
    may be none of the folder's. `done` and `failed` hold what was put away.

    Args:
        path: Of the folder.
        settle: For how long size and time of a file must stay the same.
        clock: Seconds that only go forward.
    """

    kind: ImportKind = "folder"

    def __init__(self, path: Path, *, settle: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._settle = settle.total_seconds()
        self._clock = clock
        self._pending: dict[str, tuple[str, float]] = {}

    def look(self, known: Collection[str]) -> Sequence[Found]:
        """See `Inbox.look`.

        Raises:
            OSError: The folder cannot be read.
        """
        found: list[Found] = []
        pending: dict[str, tuple[str, float]] = {}
        now = self._clock()
        for name, facts in self._files():
            origin = _origin(name, facts)
            if origin in known or len(pending) >= PENDING:
                continue
            before, since = self._pending.get(name, ("", now))
            since = since if before == origin else now
            pending[name] = (origin, since)
            if now - since >= self._settle and len(found) < MOST and not self._is_written(name):
                found.append(Found(name=name, origin=origin, size=facts.st_size))
        self._pending = pending
        return found

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Open a file of the folder for reading, without ever leaving it.

        Raises:
            OSError: There is no such file, or a link is on the way to it.
        """
        with self._within(PurePosixPath(name).parent) as folder:
            # Not blocking: a pipe of this name would keep us.
            file = os.open(PurePosixPath(name).name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                yield file
            finally:
                os.close(file)

    def put_away(self, row: Import, where: str, reason: str) -> None:
        """See `Inbox.put_away`.

        Raises:
            OSError: It cannot be moved.
        """
        source = PurePosixPath(row.source)
        with suppress(FileNotFoundError), self._within(source.parent) as folder:
            facts = os.stat(source.name, dir_fd=folder, follow_symlinks=False)
            if _origin(row.source, facts) != row.origin:
                return  # another file has taken its place, and is looked at by itself
            with self._within(PurePosixPath(where) / source.parent, make=True) as target:
                name = source.name
                if _is_there(target, name):
                    name = PurePosixPath(put_away_name(row)).name
                if reason:
                    _write(target, f"{name}.reason.txt", reason)
                os.rename(source.name, name, src_dir_fd=folder, dst_dir_fd=target)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield regular files that are not empty, by their names within the folder."""
        for parent, folders, files, folder in os.fwalk(self._path, follow_symlinks=False, onerror=_raise):
            relative = PurePosixPath(parent).relative_to(self._path)
            aside = {DONE, FAILED} if relative == PurePosixPath() else set()
            folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in aside)
            for each in sorted(files):
                name = str(relative / each)
                if each.startswith(".") or len(name) > MAX_NAME or not name.isprintable():
                    continue
                with suppress(FileNotFoundError):
                    facts = os.stat(each, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and facts.st_size:
                        yield name, facts

    def _is_written(self, name: str) -> bool:
        """Return whether somebody has a file open for writing, where the system tells.

        Linux gives a lease for reading only where nobody has (fcntl(2), "Leases"); other systems, file systems without
        leases, and other people's files are judged by size and time alone.
        """
        try:
            with self.opened(name) as file:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except (OSError, AttributeError) as error:
            return isinstance(error, OSError) and error.errno in {errno.EAGAIN, errno.ENOENT, errno.ELOOP}
        return False

    @contextmanager
    def _within(self, path: PurePosixPath, *, make: bool = False) -> Iterator[int]:
        """Open a folder within the folder, following no link on the way."""
        opened = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for each in path.parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(each, dir_fd=opened)
                below = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
                os.close(opened)
                opened = below
            yield opened
        finally:
            os.close(opened)


class FolderBringer:
    """Brings files of a watched folder.

    Args:
        folder: The folder.
        staging: Where the bytes go.
        most: Bytes of the largest file.
    """

    def __init__(self, folder: Folder, staging: ObjectStore, *, most: int) -> None:
        self._folder = folder
        self._staging = staging
        self._most = most

    async def bring(self, row: Import, hold: Hold, *, within: timedelta) -> Transfer:
        """Put a file into staging, if it is still as it was found; see `Bringer.bring`.

        Raises:
            SourceChangedError: It is not, or is gone, or changes meanwhile.
            SourceTooLargeError: It is too large.
            SourceRefusedError: It is no film and no sound.
            MamkitError: The store fails.
        """
        del within  # a local file does not wait
        guessed = mimetypes.guess_type(row.filename)[0] or ""
        transfer = Transfer(
            key=staged_key(row.user_id, row.asset_id, row.id, extension_of(row.filename)),
            content_type=guessed if guessed.startswith(("video/", "audio/")) else "application/octet-stream",
            filename=row.filename,
        )
        hold.received = 0
        await hold.keep(transfer)
        return transfer.whole(await stoppable(lambda stop: self._bring(row, hold, transfer, stop)))

    def _bring(self, row: Import, hold: Hold, transfer: Transfer, stop: Event) -> str:
        try:
            with self._folder.opened(row.source) as file:
                facts = os.fstat(file)
                if not stat.S_ISREG(facts.st_mode) or _origin(row.source, facts) != row.origin:
                    raise SourceChangedError
                if facts.st_size > self._most:
                    raise SourceTooLargeError(self._most)
                check_head(os.pread(file, HEAD, 0))
                info = self._staging.put(
                    transfer.key,
                    _blocks(file, hold, stop),
                    content_type=transfer.content_type,
                    expected=Expected(size=facts.st_size),
                )
                if _origin(row.source, os.fstat(file)) != row.origin:
                    raise SourceChangedError
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                raise SourceChangedError from error
            raise
        return digest_of_staged(self._staging, info)


def _blocks(file: int, hold: Hold, stop: Event) -> Iterator[bytes]:
    while block := os.read(file, BLOCK):
        if stop.is_set():
            raise SourceChangedError  # nobody hears it: the import was cancelled or lost
        yield block
        hold.received += len(block)


def _origin(name: str, facts: os.stat_result) -> str:
    return origin_of("folder", name, facts.st_size, facts.st_mtime_ns)


def _is_there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write(folder: int, name: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "w", encoding="utf-8") as file:
        file.write(text)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder that was taken away meanwhile
        raise error
