"""Files under keys: how an object appears in a local store, is found there with its facts, and goes away."""

import os
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mamkit.clock import Clock
from mamkit.storage._facts import content_type_of
from mamkit.storage._paths import key_path
from mamkit.storage._sidecar import Facts, identity, sidecar_path
from mamkit.storage._tree import Scratch, Tree, is_object
from mamkit.storage._upload import check_match
from mamkit.storage.errors import ObjectExistsError, ObjectNotFoundError, ObjectRetainedError
from mamkit.storage.models import ObjectInfo

__all__ = ["Found", "Shelf"]


@dataclass(frozen=True, slots=True)
class Found:
    """The facts of an object, and the identity of the file that they were found with."""

    info: ObjectInfo
    identity: str


class Shelf:
    """The objects below one root. Keys have been checked; errors of the operating system come as they are.

    Args:
        tree: The folders.
        clock: Tells whether a retention is over.
    """

    def __init__(self, tree: Tree, *, clock: Clock) -> None:
        self.tree = tree
        self._clock = clock
        self._root = tree.root
        self._sidecars = tree.root / ".facts"

    def find(self, key: str) -> Found:
        """Return the facts of an object."""
        target = self._target(key)
        while (found := _stat(target)) is not None:
            if (info := self._info(key, found)) is not None:
                return Found(info, identity(found))
        raise ObjectNotFoundError(key)

    def open(self, key: str) -> tuple[BinaryIO, ObjectInfo]:
        """Return the opened file of an object, and the facts of just that file."""
        target = self._target(key)
        while (file := _open(target)) is not None:
            try:
                info = self._info(key, os.fstat(file.fileno()))
            except BaseException:
                file.close()
                raise
            if info is not None:
                return file, info
            file.close()
        raise ObjectNotFoundError(key)

    def path(self, key: str) -> Path:
        """Return the path of an object."""
        target = self._target(key)
        if _stat(target) is None:
            raise ObjectNotFoundError(key)
        return target

    def publish(
        self, key: str, scratch: Scratch, facts: Facts, *, if_absent: bool = False, if_match: str | None = None
    ) -> ObjectInfo:
        """Make a scratch file an object, if the key is free or has just the object that was meant."""
        found = scratch.finish()
        with closing(self._note(facts)) as note, self.tree.locked():
            if if_match is not None:
                self._check_match(key, if_match)
            self._place(key, scratch.path, found, note, if_absent=if_absent)
        self._sync(key)
        return _to_info(key, found, facts)

    def link(self, key: str, origin: "Shelf", source: Found, facts: Facts, *, if_absent: bool) -> ObjectInfo | None:
        """Make the very file that was found an object of this shelf too; None if it cannot be linked, or is gone."""
        link = self.tree.scratch_name()
        if self.tree.durable and not origin.tree.durable:
            origin.settle(source.info.key)
        with closing(self._note(facts)) as note, self.tree.locked():
            try:
                os.link(origin._target(source.info.key), link, follow_symlinks=False)
            except OSError:  # another file system, too many links, not ours to link, gone: reading it will tell
                return None
            try:
                found = link.lstat()
                if identity(found) != source.identity:
                    return None
                self._place(key, link, found, note, if_absent=if_absent)
            finally:
                link.unlink(missing_ok=True)
        self._sync(key)
        return _to_info(key, found, facts)

    def settle(self, key: str) -> None:
        """Bring the bytes of an object to the disk, whether or not this shelf is durable."""
        file, _ = self.open(key)
        with file:
            os.fsync(file.fileno())

    def remove(self, key: str, *, if_match: str | None = None) -> None:
        """Remove an object, if there is one, and the folders that are empty without it."""
        target = self._target(key)
        with self.tree.locked():
            if if_match is not None:
                self._check_match(key, if_match)
            found = _stat(target)
            if found is None:
                return
            sidecar = self._sidecar(key, found)
            self._check_free(key, sidecar)
            target.unlink()
            sidecar.unlink(missing_ok=True)
            self.tree.sync(target.parent)
            self._prune(target, sidecar)

    def retained_until(self, key: str) -> datetime | None:
        """Return until when an object is neither removed nor replaced."""
        target = self._target(key)
        while (found := _stat(target)) is not None:
            if self._info(key, found) is not None:
                facts = Facts.load(self._sidecar(key, found))
                return None if facts is None else facts.retained_until
        raise ObjectNotFoundError(key)

    def retain(self, key: str, until: datetime) -> None:
        """Neither remove nor replace an object before `until`."""
        with self.tree.locked():
            found = _stat(self._target(key))
            if found is None:
                raise ObjectNotFoundError(key)
            facts = Facts.load(self._sidecar(key, found)) or _seen(key, found)
            if facts.retained_until is not None and facts.retained_until >= until:
                return
        with closing(self._note(replace(facts, retained_until=until))) as note, self.tree.locked():
            now = _stat(self._target(key))
            if now is None or identity(now) != identity(found):
                raise ObjectNotFoundError(key)
            sidecar = self._sidecar(key, found)
            self.tree.make_folder(sidecar.parent)
            note.path.replace(sidecar)
        self._sync(key)

    def _check_match(self, key: str, if_match: str) -> None:
        """Do nothing if the object is the one that was meant; with the lock held."""
        check_match(self.find(key).info, if_match)

    def _check_free(self, key: str, sidecar: Path) -> None:
        facts = Facts.load(sidecar)
        if facts is not None and facts.retained_until is not None and facts.retained_until > self._clock():
            raise ObjectRetainedError(key, facts.retained_until)

    def _target(self, key: str) -> Path:
        return self._root / key_path(key)

    def _sidecar(self, key: str, found: os.stat_result) -> Path:
        return sidecar_path(self._sidecars / key_path(key), found)

    def _info(self, key: str, found: os.stat_result) -> ObjectInfo | None:
        """Return the facts of a file; None if it was replaced before they could be read."""
        facts = Facts.load(self._sidecar(key, found))
        if facts is None:
            now = _stat(self._target(key))
            if now is None or identity(now) != identity(found):
                return None
        return _to_info(key, found, facts)

    def _note(self, facts: Facts) -> Scratch:
        """Write facts to a scratch file."""
        scratch = self.tree.scratch()
        try:
            scratch.write(facts.dump())
            scratch.finish()
        except BaseException:
            scratch.close()
            raise
        return scratch

    def _place(self, key: str, source: Path, found: os.stat_result, note: Scratch, *, if_absent: bool) -> None:
        """Give a finished file, and the facts of it, the names that make it an object; with the lock held."""
        target, sidecar = self._target(key), self._sidecar(key, found)
        old = _stat(target)
        if if_absent and old is not None:
            raise ObjectExistsError(key)
        old_sidecar = None if old is None else self._sidecar(key, old)
        if old_sidecar is not None:
            self._check_free(key, old_sidecar)
        try:
            self.tree.make_folder(sidecar.parent)
            self.tree.make_folder(target.parent)
            note.path.replace(sidecar)
            if if_absent:
                _link_new(source, target, key)
            else:
                source.replace(target)
        except BaseException:
            if sidecar != old_sidecar:  # they are one when an object is copied onto itself
                sidecar.unlink(missing_ok=True)
            self._prune(target, sidecar)
            raise
        if old_sidecar is not None and old_sidecar != sidecar:
            old_sidecar.unlink(missing_ok=True)

    def _sync(self, key: str) -> None:
        path = key_path(key)
        self.tree.sync((self._root / path).parent)
        self.tree.sync((self._sidecars / path).parent)

    def _prune(self, target: Path, sidecar: Path) -> None:
        self.tree.prune(target.parent, top=self._root)
        self.tree.prune(sidecar.parent, top=self._sidecars)


def _stat(target: Path) -> os.stat_result | None:
    """Return what the file of an object is; None if there is no such file."""
    try:
        found = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if is_object(found) else None


def _open(target: Path) -> BinaryIO | None:
    """Open the file of an object; None if there is no such file."""
    if _stat(target) is None:
        return None
    # Should something else stand there by now: no link is followed, and no pipe is waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(target, flags), "rb", buffering=0)
    except FileNotFoundError:
        return None


def _link_new(source: Path, target: Path, key: str) -> None:
    try:
        target.hardlink_to(source)
    except FileExistsError as error:
        raise ObjectExistsError(key) from error


def _seen(key: str, found: os.stat_result) -> Facts:
    """Return what can be said of a file that nobody has kept facts of."""
    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return Facts(content_type=content_type_of(key), sha256=None, modified_at=modified_at, metadata={})


def _to_info(key: str, found: os.stat_result, facts: Facts | None) -> ObjectInfo:
    facts = facts or _seen(key, found)
    return ObjectInfo(
        key=key,
        size=found.st_size,
        etag=facts.sha256 or identity(found),
        modified_at=facts.modified_at,
        content_type=facts.content_type,
        sha256=facts.sha256,
        metadata=facts.metadata,
    )
