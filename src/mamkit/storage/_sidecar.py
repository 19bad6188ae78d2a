"""What a local store keeps about an object besides its bytes: one small file an object, in a tree beside the objects.

A sidecar is named after the key *and* the identity of the file that it describes: inode, time of modification, size.
It is written before the object appears, so an object never lacks its facts, and since it can be found only through
the very file that it was written for, facts and bytes of two different writes never meet, whenever a crash comes.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from mamkit.storage._facts import check_facts
from mamkit.storage.errors import StorageError
from mamkit.storage.models import ObjectInfo

__all__ = ["Facts", "identity", "sidecar_path"]

_MAX_BYTES = 16 * 1024  # metadata has at most 2 KiB; more is not ours


def identity(found: os.stat_result) -> str:
    """Return what tells a file from every other that was or will be under its name; at most 50 characters."""
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def sidecar_path(path: Path, found: os.stat_result) -> Path:
    """Return where the facts of a file are.

    Args:
        path: The object's path, in the tree of sidecars.
        found: What the file is.
    """
    return path.with_name(f"{path.name}.{identity(found)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What cannot be seen from a file itself."""

    content_type: str
    sha256: str | None
    modified_at: datetime
    metadata: Mapping[str, str]
    retained_until: datetime | None = None

    @classmethod
    def of(cls, info: ObjectInfo, *, modified_at: datetime) -> Self:
        """Return what a copy of an object keeps of it."""
        return cls(content_type=info.content_type, sha256=info.sha256, modified_at=modified_at, metadata=info.metadata)

    def dump(self) -> bytes:
        """Return the facts as the content of a sidecar."""
        fields = {
            "content_type": self.content_type,
            "sha256": self.sha256,
            "modified_at": self.modified_at.isoformat(),
            "metadata": dict(self.metadata),
        }
        if self.retained_until is not None:
            fields["retained_until"] = self.retained_until.isoformat()
        return json.dumps(fields, sort_keys=True).encode()

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what a sidecar says; None if there is none, or if it is torn."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_MAX_BYTES)
        try:
            return cls._parse(json.loads(text))
        except (ValueError, KeyError, TypeError, RecursionError, StorageError):
            return None

    @classmethod
    def _parse(cls, fields: dict[str, Any]) -> Self:
        modified_at = datetime.fromisoformat(fields["modified_at"])
        sha256 = fields["sha256"]
        if modified_at.tzinfo is None or not (sha256 is None or isinstance(sha256, str)):
            raise ValueError("a sidecar that is not ours")
        until = fields.get("retained_until")
        return cls(
            content_type=fields["content_type"],
            sha256=sha256,
            modified_at=modified_at,
            metadata=check_facts(fields["content_type"], fields["metadata"]),
            retained_until=None if until is None else datetime.fromisoformat(until).astimezone(UTC),
        )
