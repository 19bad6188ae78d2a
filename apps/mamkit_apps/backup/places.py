"""Where a backup lies: a plain folder, or a prefix of a bucket. A file is there whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mamkit.storage import ObjectNotFoundError, ObjectStore, PrefixStore
from mamkit.storage.keys import check_key
from mamkit_apps.settings import ServiceSettings, SettingsError

__all__ = ["BLOCK", "Bucket", "Folder", "Place", "open_place"]

BLOCK = 1 << 20  # bytes that are in memory at once


class Place(Protocol):
    """Holds the files of one backup."""

    def is_empty(self) -> bool:
        """Return whether there is nothing."""

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file; it appears once all blocks are in it.

        Raises:
            StorageError: It cannot be written.
            OSError: The same.
        """

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file's blocks.

        Raises:
            FileNotFoundError: There is no such file.
        """


class Folder:
    """A backup in a folder of this machine.

    Args:
        root: Made with the first file, open to its owner alone.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def is_empty(self) -> bool:
        """Return whether there is nothing, or nothing but the folders of a try for which there was no room."""
        return not any(path.is_file() for path in self._root.rglob("*"))

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file, and see that it is on the disk."""
        path = self._path(name)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.part")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for block in blocks:
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            scratch.rename(path)
        except BaseException as error:
            with suppress(FileNotFoundError):
                scratch.unlink()
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(path)  # a full disk does not say which
            raise
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file's blocks."""
        with self._path(name).open("rb") as file:
            while block := file.read(BLOCK):
                yield block

    def _path(self, name: str) -> Path:
        return self._root / check_key(name)  # which lets no name lead out of the folder


class Bucket:
    """A backup among the objects of a store.

    Args:
        store: Holds the files under their names.
        shown: What the place is called.
    """

    def __init__(self, store: ObjectStore, shown: str) -> None:
        self._store = store
        self._shown = shown

    def __str__(self) -> str:
        return self._shown

    def is_empty(self) -> bool:
        """Return whether there is nothing."""
        return next(iter(self._store.list()), None) is None

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file."""
        self._store.put(name, blocks)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file's blocks."""
        try:
            body = self._store.get(name)
        except ObjectNotFoundError as error:
            raise FileNotFoundError(name) from error
        with body:
            while block := body.read(BLOCK):
                yield block


def open_place(where: str, settings: ServiceSettings) -> Place:
    """Return the place that an operator names: a folder, or `s3://BUCKET/PREFIX` on the server of the settings.

    Raises:
        SettingsError: It names no bucket.
        MissingExtraError: `mamkit[s3]` is not installed.
    """
    if not where.startswith("s3://"):
        return Folder(Path(where))
    from mamkit.storage.s3 import S3Store  # noqa: PLC0415 - whoever writes to a folder needs no boto3
    from mamkit_apps.zones import s3_options  # noqa: PLC0415 - as above

    bucket, _, prefix = where.removeprefix("s3://").partition("/")
    if not bucket:
        raise SettingsError(f"{where}: names no bucket; write s3://BUCKET/PREFIX", names=())
    store: ObjectStore = S3Store(bucket, s3_options(settings))
    prefix = prefix.strip("/")
    return Bucket(PrefixStore(store, f"{prefix}/") if prefix else store, where)
