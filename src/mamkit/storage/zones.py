"""The three zones that an asset goes through, and the one way from an upload to a master."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from mamkit.storage.digest import digest_of
from mamkit.storage.errors import (
    MasterConflictError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedOperationError,
    UploadRejectedError,
)
from mamkit.storage.keeping import RetainsObjects
from mamkit.storage.keys import check_key, metadata_key
from mamkit.storage.models import ObjectInfo
from mamkit.storage.protocols import ObjectStore

__all__ = ["MasterRecord", "Zones", "clear_staged", "promote"]

_MAX_FACTS = 64 * 1024  # bytes of `metadata.json`; ours has a few hundred
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Where uploads wait, where masters are kept for good, and where previews are served from.

    They may be three stores or one: the keys of the zones differ.
    """

    staging: ObjectStore
    masters: ObjectStore
    previews: ObjectStore
    retention: timedelta | None = None
    """How long a new master is retained, if the masters' store can (`RetainsObjects`); None leaves it to the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterRecord:
    """A master as it stands in the masters zone."""

    key: str
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hexadecimal; of the bytes that are stored, not of what somebody announced."""
    content_type: str
    created_at: datetime
    retained_until: datetime | None = None
    """Until when nobody can delete or replace it; None if it is not retained."""


def promote(zones: Zones, *, staged: str, master: str, size: int, sha256: str) -> MasterRecord:
    """Make a staged upload a master, if it is what was announced, and return the record of it.

    May be repeated, and run several times at once, with or without a crash in between: the same bytes give the same
    record, and a master that is there is never touched. The staged upload is left where it is; call `clear_staged` when
    the record is safe. The facts are also written beside the master, as `metadata.json`.

    Args:
        zones: Staging and masters are used.
        staged: Key of the upload. It may be gone if the master is there already.
        master: Key that the master is to have.
        size: Bytes that the upload must have.
        sha256: Digest that it must have, hexadecimal.

    Raises:
        ObjectNotFoundError: There is neither a master nor an upload.
        UploadRejectedError: The upload has another size or digest, or `sha256` is no digest.
        ObjectChangedError: Somebody uploaded anew while the upload was being checked; try again.
        MasterConflictError: A master with other bytes stands under the key.
        UnsupportedOperationError: A retention is asked of a store that retains nothing.
    """
    check_key(staged)
    metadata = metadata_key(master)
    sha256 = sha256.lower()
    if not _SHA256.fullmatch(sha256):
        raise UploadRejectedError("sha256", expected=sha256, actual="no digest", key=staged)
    try:
        record = _record(zones, master, metadata, size=size, sha256=sha256)
    except ObjectNotFoundError:
        etag = _check_staged(zones.staging, staged, size=size, sha256=sha256)
        with suppress(ObjectExistsError):  # another promotion was quicker; what it made is judged next
            zones.masters.copy(staged, master, origin=zones.staging, if_match=etag, if_absent=True)
        record = _record(zones, master, metadata, size=size, sha256=sha256)
    _write_metadata(zones.masters, metadata, record)
    return record


def clear_staged(zones: Zones, key: str) -> None:
    """Remove a staged upload; call it when the record of its master is committed. If there is none, do nothing."""
    zones.staging.delete(key)


def _check_staged(staging: ObjectStore, key: str, *, size: int, sha256: str) -> str:
    """Return the ETag of an upload that is what was announced."""
    info = staging.head(key)
    if info.size != size:
        raise UploadRejectedError("size", expected=size, actual=info.size, key=key)
    actual = digest_of(staging, info)
    if actual != sha256:
        raise UploadRejectedError("sha256", expected=sha256, actual=actual, key=key)
    return info.etag


def _record(zones: Zones, key: str, metadata: str, *, size: int, sha256: str) -> MasterRecord:
    """Return the record of the master, which must hold these bytes, and is retained if masters are."""
    info = zones.masters.head(key)
    actual = _recorded(zones.masters, metadata, info)
    if actual is None:
        actual = digest_of(zones.masters, info)
    if actual != sha256 or info.size != size:
        raise MasterConflictError(key, expected=sha256, actual=actual)
    return MasterRecord(
        key=key,
        size=info.size,
        sha256=actual,
        content_type=info.content_type,
        created_at=info.modified_at,
        retained_until=_retain(zones, key, info.modified_at),
    )


def _recorded(masters: ObjectStore, metadata: str, info: ObjectInfo) -> str | None:
    """Return the digest that an earlier promotion found when it read just this master; None if there was none."""
    if info.sha256 is not None:
        return None
    try:
        with masters.get(metadata) as body:
            facts = json.loads(body.read(_MAX_FACTS))
        same = (facts["key"], facts["size"], facts["created_at"]) == (info.key, info.size, info.modified_at.isoformat())
        return str(facts["sha256"]) if same else None
    except (ObjectNotFoundError, ValueError, KeyError, TypeError):
        return None


def _retain(zones: Zones, key: str, since: datetime) -> datetime | None:
    """Retain the master if masters are, counted from its making so that all promotions of it say the same."""
    masters = zones.masters
    if zones.retention is None:
        if isinstance(masters, RetainsObjects):
            with suppress(UnsupportedOperationError):  # a wrapper may have more methods than the store within
                return masters.retained_until(key)
        return None
    if not isinstance(masters, RetainsObjects):
        raise UnsupportedOperationError(f"{masters!r} retains nothing; give the zones no retention")
    masters.retain(key, until=since + zones.retention)
    return masters.retained_until(key)


def _write_metadata(masters: ObjectStore, key: str, record: MasterRecord) -> None:
    """Write the facts beside the master, unless they are there: all promotions of a master write the same."""
    facts = {
        "key": record.key,
        "size": record.size,
        "sha256": record.sha256,
        "content_type": record.content_type,
        "created_at": record.created_at.isoformat(),
    }
    text = json.dumps(facts, indent=2) + "\n"
    with suppress(ObjectExistsError):
        masters.put(key, text.encode(), content_type="application/json", if_absent=True)
