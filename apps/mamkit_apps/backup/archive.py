"""The files of a backup, and the certainty that they are all there as they were written.

`backup.json` is written last: without it there is no backup. It holds the size and the SHA-256 of `manifest.jsonl`,
which holds those of every other file, as they lie there. In an encrypted backup all but `backup.json` is encrypted, so
that nobody without the key can change a file and its entry; in another one this finds accidents, not forgers.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import mamkit
from mamkit.storage import StorageError
from mamkit_apps.backup.errors import BackupDamagedError, BackupExistsError, BackupKeyError, BackupUnknownError
from mamkit_apps.backup.places import BLOCK, Place
from mamkit_apps.backup.sealing import Keys, Sealer

__all__ = ["ArchiveReader", "ArchiveWriter", "json_lines"]

FORMAT = "mamkit-backup"
VERSION = 1
HEAD, MANIFEST = "backup.json", "manifest.jsonl"
MOST_HEAD = 64 << 10  # bytes; ours has some hundred
LEVEL = 6  # of gzip: zlib's default


class _Measured:
    """Passes blocks on, and counts and hashes them."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._digest = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._digest.update(block)
            self.size += len(block)
            yield block

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class ArchiveWriter:
    """Writes the files of a backup, one after the other, and then its head.

    Args:
        place: Where to.
        keys: Encrypt with them; None encrypts nothing.

    Raises:
        BackupExistsError: There is something at the place.
    """

    def __init__(self, place: Place, keys: Keys | None) -> None:
        if not place.is_empty():
            raise BackupExistsError(str(place))
        self._place = place
        self._sealer = None if keys is None else keys.sealer()
        self._entries: list[bytes] = []

    def add(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file; it stands in the list of files."""
        stored = _Measured(blocks if self._sealer is None else self._sealer.seal(name, blocks))
        self._place.write(name, stored)
        entry = {"name": name, "size": stored.size, "sha256": stored.sha256}
        self._entries.append(json.dumps(entry).encode() + b"\n")

    def add_object(self, name: str, blocks: Iterable[bytes]) -> tuple[int, str]:
        """Write a file that the caller lists, and return size and SHA-256 of its plain bytes.

        There may be millions of them, and the list of files is kept in memory.
        """
        plain = _Measured(blocks)
        self._place.write(name, plain if self._sealer is None else self._sealer.seal(name, plain))
        return plain.size, plain.sha256

    def add_lines(self, name: str, values: Iterable[Any]) -> int:
        """Write values as JSON lines, compressed, and return how many there were."""
        count = 0

        def blocks() -> Iterator[bytes]:
            nonlocal count
            packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16: with the head of gzip
            for value in values:
                count += 1
                yield packer.compress(json.dumps(value, ensure_ascii=False).encode() + b"\n")
            yield packer.flush()

        self.add(name, blocks())
        return count

    def close(self, facts: dict[str, Any], *, created_at: datetime) -> None:
        """Write the list of files and the head; only now is it a backup.

        Args:
            facts: What whoever reads it must know first.
            created_at: When it was begun.
        """
        first = json.dumps({"facts": facts}, ensure_ascii=False).encode() + b"\n"
        entries = [first, *self._entries]
        stored = _Measured(entries if self._sealer is None else self._sealer.seal(MANIFEST, entries))
        self._place.write(MANIFEST, stored)
        head = {
            "format": FORMAT,
            "version": VERSION,
            "mamkit": mamkit.__version__,
            "created_at": created_at.isoformat(),
            "encryption": None if self._sealer is None else self._sealer.parameters,
            "manifest": {"size": stored.size, "sha256": stored.sha256},
        }
        self._place.write(HEAD, [json.dumps(head, indent=2).encode() + b"\n"])


class ArchiveReader:
    """Reads a backup; what it gives is what was written, or an error.

    Args:
        place: Where it lies.
        keys: Decrypt with them.

    Raises:
        BackupUnknownError: There is none, or one that this version cannot read.
        BackupKeyError: It is encrypted, and the key was not given.
        BackupDamagedError: The list of its files was changed, or the key is another one.
    """

    def __init__(self, place: Place, keys: Keys) -> None:
        self._place = place
        head = self._head()
        encryption = head.get("encryption")
        self._sealer: Sealer | None = None if encryption is None else keys.opener(encryption)
        if encryption is None and (keys.passphrase or keys.key_file):
            raise BackupKeyError("the backup is not encrypted, and a key was given: is it the one that you mean?")
        self.created_at: str = str(head.get("created_at"))
        listed = head.get("manifest")
        if not isinstance(listed, dict):
            raise BackupDamagedError(HEAD, "names no list of files")
        self._files: dict[str, tuple[int, str]] = {MANIFEST: (listed.get("size", -1), str(listed.get("sha256")))}
        lines = json_lines(MANIFEST, self.read(MANIFEST))
        try:
            self.facts: dict[str, Any] = next(lines)["facts"]
            self._files |= {entry["name"]: (entry["size"], entry["sha256"]) for entry in lines}
        except (StopIteration, LookupError, TypeError) as error:
            raise BackupDamagedError(MANIFEST, "cannot be read") from error

    @property
    def names(self) -> list[str]:
        """The files of the backup."""
        return [name for name in self._files if name != MANIFEST]

    @property
    def encrypted(self) -> bool:
        """Whether the backup is encrypted."""
        return self._sealer is not None

    def verify(self) -> int:
        """Read every file to its end, and return how many bytes there were.

        Raises:
            BackupDamagedError: One is missing, cut short or changed.
        """
        total = 0
        for name in self.names:
            for block in self._stored(name):  # its digest stands in a list that is itself under a digest or a key
                total += len(block)
        return total

    def read(self, name: str) -> Iterator[bytes]:
        """Yield a file's plain bytes; the error that it was changed may come after the last of them.

        Raises:
            BackupDamagedError: It is missing, cut short or changed.
        """
        stored = self._stored(name)
        return stored if self._sealer is None else self._sealer.open(name, stored)

    def read_object(self, name: str, *, size: int, sha256: str) -> Iterator[bytes]:
        """Yield the plain bytes of a file that the writer's caller listed; see `read`.

        Args:
            name: The file.
            size: Bytes of it, plain.
            sha256: Of the same.
        """
        stored = _found(name, self._place.read(name))
        measured = _Measured(stored if self._sealer is None else self._sealer.open(name, stored))
        for block in measured:
            if measured.size > size:
                break
            yield block
        _compare(name, measured, size, sha256)

    def lines(self, name: str) -> Iterator[Any]:
        """Yield the values of a file of compressed JSON lines.

        Raises:
            BackupDamagedError: It is missing, cut short or changed.
        """
        return json_lines(name, _unpacked(name, self.read(name)))

    def _stored(self, name: str) -> Iterator[bytes]:
        if name not in self._files:
            raise BackupDamagedError(name, "is not among its files")
        size, sha256 = self._files[name]
        measured = _Measured(_found(name, self._place.read(name)))
        for block in measured:
            if measured.size > size:
                break
            yield block
        _compare(name, measured, size, sha256)

    def _head(self) -> dict[str, Any]:
        data = b""
        try:
            for block in self._place.read(HEAD):
                data += block
                if len(data) > MOST_HEAD:
                    break
            head = json.loads(data[:MOST_HEAD])
        except (FileNotFoundError, StorageError) as error:
            raise BackupUnknownError(f"there is no finished backup at {self._place}: it has no {HEAD}") from error
        except ValueError as error:
            raise BackupDamagedError(HEAD, "cannot be read") from error
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise BackupUnknownError(f"what lies at {self._place} is no backup of mamkit")
        if head.get("version") != VERSION:
            raise BackupUnknownError(f"the backup has format {head.get('version')}, and this version reads {VERSION}")
        return head


def _found(name: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass a file's blocks on, and name it where they cannot be had."""
    try:
        yield from blocks
    except FileNotFoundError as error:
        raise BackupDamagedError(name, "is missing") from error
    except (StorageError, OSError) as error:
        raise BackupDamagedError(name, f"cannot be read ({error})") from error


def _compare(name: str, measured: _Measured, size: int, sha256: str) -> None:
    if measured.size != size:
        raise BackupDamagedError(name, "has another size than it had")
    if measured.sha256 != sha256:
        raise BackupDamagedError(name, "was changed")


def json_lines(name: str, blocks: Iterable[bytes]) -> Iterator[Any]:
    """Yield the values of JSON lines.

    Raises:
        BackupDamagedError: A line is none.
    """
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BackupDamagedError(name, "holds a line that is not JSON") from error
    if rest:
        raise BackupDamagedError(name, "ends within a line")


def _unpacked(name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for block in blocks:
            packed = block
            while packed:
                yield unpacker.decompress(packed, BLOCK)  # and no more, however well it was packed
                packed = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise BackupDamagedError(name, "cannot be unpacked") from error
    if not unpacker.eof:
        raise BackupDamagedError(name, "is cut short")
