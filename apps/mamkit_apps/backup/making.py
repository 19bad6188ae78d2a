"""Making a backup, while everything runs.

The rows are of one moment, and the objects of a later one: a master is never changed, so that every master that a row
names is there still. What was uploaded since is in the backup's list of objects and in no row, and harms nobody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import SecretStr

from mamkit import catalog
from mamkit.clock import utc_now
from mamkit.storage import ObjectInfo, ObjectNotFoundError, ObjectStore, Zones
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.backup.archive import ArchiveWriter
from mamkit_apps.backup.places import BLOCK, Place
from mamkit_apps.backup.sealing import Keys
from mamkit_apps.backup.tables import dumped, one_moment, table_kinds
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.worker.settings import WorkerSettings
from mamkit_apps.zones import open_zones

__all__ = ["OBJECTS", "SETTINGS", "ZONES", "Include", "Made", "backup", "object_name", "table_name"]

Include = Literal["none", "masters", "all"]
ZONES = {"staging": "uploads/", "masters": "masters/", "previews": "previews/"}
"""Where the keys of each zone begin."""
OBJECTS, SETTINGS = "objects.jsonl.gz", "settings.env"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a backup holds."""

    rows: int
    objects: int
    """In the list of objects."""
    copied: int
    """Objects whose bytes are in the backup."""
    copied_bytes: int


def table_name(table: str) -> str:
    """Return the file of a table's rows."""
    return f"database/{table}.jsonl.gz"


def object_name(zone: str, key: str) -> str:
    """Return the file of an object."""
    return f"objects/{zone}/{key}"


def backup(
    settings: ServiceSettings,
    place: Place,
    *,
    include: Include = "none",
    keys: Keys | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Made:
    """Write a backup of an installation.

    Args:
        settings: The installation.
        place: An empty one.
        include: Whose bytes go into it: no objects', those of masters, or of all objects.
        keys: Encrypt with them; None encrypts nothing.
        progress: Told what comes next.

    Raises:
        SchemaError: The tables are not those of this version.
        BackupExistsError: There is something at the place.
        BackupKeyError: The key cannot be used.
        StorageError: An object cannot be read, or the backup cannot be written.
        OSError: The same.
    """
    created_at = utc_now()
    catalog.check(settings.database)
    archive = ArchiveWriter(place, keys)
    kinds = table_kinds()
    rows = {}
    progress("database")
    with one_moment(settings.database) as connection:
        revision = catalog.current(settings.database)
        for name, columns in kinds.items():
            rows[name] = archive.add_lines(table_name(name), dumped(connection, name, columns))
    progress("settings")
    archive.add(SETTINGS, [_settings_text(settings)])
    progress("objects")
    counts = {"copied": 0, "bytes": 0}
    objects = archive.add_lines(OBJECTS, _objects(archive, open_zones(settings), include, counts))
    facts = {
        "revision": revision,
        "tables": {name: {"columns": columns, "rows": rows[name]} for name, columns in kinds.items()},
        "objects": objects,
        "include": include,
        "sealing_keys": _sealing_key_ids(settings),
    }
    archive.close(facts, created_at=created_at)
    return Made(rows=sum(rows.values()), objects=objects, copied=counts["copied"], copied_bytes=counts["bytes"])


def _objects(
    archive: ArchiveWriter, zones: Zones, include: Include, counts: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Yield what is known of every object, and write the bytes of those that are asked for."""
    for zone, prefix in ZONES.items():
        store: ObjectStore = getattr(zones, zone)
        wanted = include == "all" or (include == "masters" and zone == "masters")
        for found in store.list(prefix):
            try:
                line = _copied(archive, store, zone, found.key) if wanted else _seen(store, zone, found)
            except ObjectNotFoundError:
                if zone == "masters":
                    raise
                continue  # an upload that was promoted, or a preview that was removed, since the listing
            if wanted:
                counts["copied"] += 1
                counts["bytes"] += line["size"]
            yield line


def _copied(archive: ArchiveWriter, store: ObjectStore, zone: str, key: str) -> dict[str, Any]:
    with store.get(key) as body:
        size, sha256 = archive.add_object(object_name(zone, key), iter(lambda: body.read(BLOCK), b""))
        return _line(zone, body.info) | {"size": size, "sha256": sha256, "copied": True}


def _seen(store: ObjectStore, zone: str, found: ObjectInfo) -> dict[str, Any]:
    # A listing may leave the digest out. Of masters it is worth asking for; previews can be made again.
    return _line(zone, store.head(found.key) if zone == "masters" else found)


def _line(zone: str, info: ObjectInfo) -> dict[str, Any]:
    return {
        "zone": zone,
        "key": info.key,
        "size": info.size,
        "etag": info.etag,
        "sha256": info.sha256,
        "content_type": info.content_type,
        "metadata": dict(info.metadata),
        "copied": False,
    }


def _settings_text(settings: ServiceSettings) -> bytes:
    """Return what the operator has set, as lines of an environment file; of secrets the names alone."""
    lines: list[str] = []
    named: set[str] = set()
    for kind in (ApiSettings, EdgeSettings, WorkerSettings):
        loaded = kind.load(data_dir=settings.data_dir)
        for name in sorted(loaded.model_fields_set - named - {"data_dir"}):
            named.add(name)
            value = loaded.model_dump(mode="json")[name]
            if value is None:
                continue
            secret = isinstance(getattr(loaded, name), SecretStr)
            shown = ",".join(map(str, value)) if isinstance(value, list) else value
            lines.append(f"# {name.upper()}= was set, and is a secret" if secret else f"{name.upper()}={shown}")
    return ("\n".join(lines) + "\n").encode()


def _sealing_key_ids(settings: ServiceSettings) -> list[str]:
    api = ApiSettings.load(data_dir=settings.data_dir)
    if api.sealing_keys is None and not (api.data_dir / "secrets" / "sealing_keys").exists():
        return []
    return list(api.ring("sealing_keys"))
