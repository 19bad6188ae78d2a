"""Restoring a backup: everything is looked at before anything is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mamkit import catalog
from mamkit.catalog import sync_engine
from mamkit.catalog.event_models import EventCounter
from mamkit.catalog.migrate import revisions
from mamkit.catalog.models import Preview, PreviewPart, Version
from mamkit.clock import utc_now
from mamkit.errors import MamkitError
from mamkit.jobs import JobState
from mamkit.storage import Expected, ObjectInfo, ObjectNotFoundError, ObjectStore, Zones, sha256_of
from mamkit.transcode import INDEX_NAME, THUMBNAIL_NAME
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.backup.archive import ArchiveReader
from mamkit_apps.backup.errors import BackupDamagedError, TargetNotEmptyError
from mamkit_apps.backup.making import OBJECTS, SETTINGS, object_name, table_name
from mamkit_apps.backup.tables import connected, filled_tables, load, one_moment
from mamkit_apps.sealed import SECOND_FACTORS, WEBHOOKS
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import migrate, open_queue
from mamkit_apps.zones import open_zones

__all__ = ["Restored", "restore", "settings_of", "verify"]

PAGE = 500  # previews that are looked at in one go
UNFINISHED: tuple[JobState, ...] = ("waiting", "running")
LOST_EVENTS = 2**32  # more than an installation tells between a backup and its end; JavaScript counts to 2**53
JOBS = 1000  # the most that a queue lists in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did, and what is left to do."""

    rows: int
    objects: int
    """Whose bytes were written."""
    missing_masters: tuple[str, ...] = ()
    """Keys of the masters that rows name and no store has, the first hundred."""
    rebuilt: int = 0
    """Previews that workers make anew, because their files are not there."""
    lost_key: str = ""
    """Id of the key that sealed second factors, if this installation lacks it."""


def verify(archive: ArchiveReader, progress: Callable[[str], object] = lambda _: None) -> int:
    """Read the whole of a backup, and return how many bytes of files and objects were read.

    Raises:
        BackupDamagedError: Something is missing, cut short, changed, or not what the backup says of itself.
    """
    progress("files")
    total = archive.verify()
    for name, facts in archive.facts["tables"].items():
        width, count = len(facts["columns"]), 0
        for row in archive.lines(table_name(name)):
            count += 1
            if not isinstance(row, list) or len(row) != width:
                raise BackupDamagedError(table_name(name), f"has a row that is none, number {count}")
        if count != facts["rows"]:
            raise BackupDamagedError(table_name(name), f"has {count} rows, of {facts['rows']}")
    progress("objects")
    for line in archive.lines(OBJECTS):
        if line["copied"]:
            for block in _bytes_of(archive, line):
                total += len(block)
    return total


def settings_of(archive: ArchiveReader) -> str:
    """Return the settings that the installation had, as lines of an environment file, without its secrets."""
    return b"".join(archive.read(SETTINGS)).decode()


def restore(
    settings: ServiceSettings,
    archive: ArchiveReader,
    *,
    replace: bool = False,
    progress: Callable[[str], object] = lambda _: None,
) -> Restored:
    """Put a backup into an installation, whose services must not run.

    May be repeated after a crash: the rows come in one transaction, and objects that are there already are left alone.

    Args:
        settings: The installation; its database may be of the other kind than the backup's.
        archive: The backup.
        replace: Whether rows and objects that are there, and others, are given up.
        progress: Told what comes next.

    Raises:
        BackupDamagedError: The backup is not what was written; nothing was changed.
        TargetNotEmptyError: There are rows, or other objects, and `replace` is not given; nothing was changed.
        RevisionUnknownError: The backup is of a later version of mamkit; nothing was changed.
    """
    if archive.facts["revision"] not in revisions():
        raise RevisionUnknownError(archive.facts["revision"])
    verify(archive, progress)
    settings.make_data_dir()
    zones = open_zones(settings)
    if settings.redis_url is not None:
        open_queue(settings).depth()  # before anything is written
    if not replace:
        _refuse_rows(settings)
        _refuse_objects(archive, zones)
    _make_tables(settings, archive, replace=replace)
    progress("objects")
    objects = sum(_put(archive, zones, line, replace=replace) for line in archive.lines(OBJECTS) if line["copied"])
    progress("rows")
    tables = {name: facts["columns"] for name, facts in archive.facts["tables"].items()}
    with connected(settings.database) as connection:
        counts = load(connection, tables, lambda name: archive.lines(table_name(name)))
    migrate(settings)
    _count_on(settings)
    _empty_queue(settings)
    progress("previews")
    return Restored(
        rows=sum(counts.values()),
        objects=objects,
        missing_masters=tuple(_missing_masters(settings, zones)),
        rebuilt=_rebuild_previews(settings, zones),
        lost_key=_lost_key(settings, archive),
    )


def _refuse_rows(settings: ServiceSettings) -> None:
    with one_moment(settings.database) as connection:
        filled = filled_tables(connection)
    if filled:
        raise TargetNotEmptyError(
            f"the database has rows in {', '.join(filled)}; restore into an empty one, or give up what is there "
            "with --replace"
        )


def _refuse_objects(archive: ArchiveReader, zones: Zones) -> None:
    for line in archive.lines(OBJECTS):
        if line["copied"] and _there(zones, line) == "other":
            raise TargetNotEmptyError(
                f"{line['key']} is there with other bytes; restore into empty stores, or give it up with --replace"
            )


def _make_tables(settings: ServiceSettings, archive: ArchiveReader, *, replace: bool) -> None:
    revision, found = archive.facts["revision"], catalog.current(settings.database)
    if found is not None and (replace or found != revision):
        catalog.downgrade(settings.database, "base")
    catalog.upgrade(settings.database, revision)


class RevisionUnknownError(MamkitError):
    """A backup is of tables that this version of mamkit does not know."""

    code = "apps.revision_unknown"

    def __init__(self, revision: str) -> None:
        super().__init__(f"the backup is of revision {revision}, which this version does not know; install a later one")


def _there(zones: Zones, line: dict[str, Any]) -> str:
    """Return whether an object is there as the backup has it: `same`, `other` or `missing`."""
    store: ObjectStore = getattr(zones, line["zone"])
    try:
        found = store.head(line["key"])
    except ObjectNotFoundError:
        return "missing"
    return "same" if found.size == line["size"] and _sha256(store, found) == line["sha256"] else "other"


def _sha256(store: ObjectStore, found: ObjectInfo) -> str:
    return found.sha256 or sha256_of(store, found.key)


def _put(archive: ArchiveReader, zones: Zones, line: dict[str, Any], *, replace: bool) -> int:
    """Write an object unless it is there, and return how many were written."""
    if _there(zones, line) == "same":
        return 0
    store: ObjectStore = getattr(zones, line["zone"])
    store.put(
        line["key"],
        _bytes_of(archive, line),
        content_type=line["content_type"],
        metadata=line["metadata"],
        expected=Expected(size=line["size"], sha256=line["sha256"]),
        if_absent=not replace,
    )
    return 1


def _bytes_of(archive: ArchiveReader, line: dict[str, Any]) -> Iterator[bytes]:
    name = object_name(line["zone"], line["key"])
    return archive.read_object(name, size=line["size"], sha256=line["sha256"])


def _empty_queue(settings: ServiceSettings) -> None:
    """Take out the jobs of what was here before; the API makes those that the restored previews need."""
    engine = sync_engine(settings.database)
    try:
        queue = open_queue(settings, engine)
        for state in UNFINISHED:
            while found := queue.list(state=state, limit=JOBS):
                for job in found:
                    queue.cancel(job.id)
    finally:
        engine.dispose()


def _count_on(settings: ServiceSettings) -> None:
    """Let no event have the position of one that was told after the backup, and whoever saw those begin anew."""
    position = EventCounter.position + LOST_EVENTS
    with connected(settings.database) as connection:
        connection.execute(sa.update(EventCounter).values(position=position, purged=position))


def _missing_masters(settings: ServiceSettings, zones: Zones) -> Iterator[str]:
    missing = 0
    with one_moment(settings.database) as connection:
        for key in connection.execution_options(yield_per=PAGE).scalars(sa.select(Version.master_key)):
            try:
                zones.masters.head(key)
            except ObjectNotFoundError:
                yield key
                missing += 1
                if missing == 100:  # enough to see what is wrong
                    return


def _is_there(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except ObjectNotFoundError:
        return False
    return True


def _rebuild_previews(settings: ServiceSettings, zones: Zones) -> int:
    """Let previews whose files are not there begin anew, and return how many there are."""
    lost = []
    query = sa.select(Preview.version_id, Version.preview_prefix).join(Version, Version.id == Preview.version_id)
    with one_moment(settings.database) as connection:
        begun = query.where(Preview.status.in_(("building", "playable", "ready")) | Preview.serving)
        for version_id, prefix in connection.execution_options(yield_per=PAGE).execute(begun):
            if not any(_is_there(zones.previews, prefix + name) for name in (INDEX_NAME, THUMBNAIL_NAME)):
                lost.append(version_id)
    fresh = {"status": "queued", "plan": None, "job_id": None, "playable_at": None, "ready_at": None, "serving": False}
    with connected(settings.database) as connection:
        for start in range(0, len(lost), PAGE):
            some = lost[start : start + PAGE]
            connection.execute(sa.delete(PreviewPart).where(PreviewPart.version_id.in_(some)))
            again = sa.update(Preview).where(Preview.version_id.in_(some))
            connection.execute(again.values(fresh | {"updated_at": utc_now(), "revision": Preview.revision + 1}))
    return len(lost)


def _lost_key(settings: ServiceSettings, archive: ArchiveReader) -> str:
    api = ApiSettings.load(data_dir=settings.data_dir)
    used: list[str] = archive.facts["sealing_keys"]
    kept = (each.table.__tablename__ for each in (SECOND_FACTORS, WEBHOOKS))
    if not used or not any(archive.facts["tables"].get(table, {}).get("rows") for table in kept):
        return ""
    return "" if used[0] in api.ring("sealing_keys") else used[0]
