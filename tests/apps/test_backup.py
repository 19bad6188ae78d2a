"""`mamkit backup` and `mamkit restore`: everything is destroyed, and everything is there again."""

import asyncio
import hashlib
import itertools
import json
import os
import re
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from litestar.testing import TestClient

from mamkit import catalog
from mamkit.catalog import CatalogUnavailableError, sync_engine
from mamkit.catalog.events import EventsState, events_state, number_events, tell
from mamkit.catalog.models import Base
from mamkit.catalog.workspace_models import Workspace
from mamkit.clock import utc_now
from mamkit.ids import uuid7
from mamkit.storage import ObjectStore
from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.backup.archive import ArchiveReader, ArchiveWriter
from mamkit_apps.backup.errors import (
    BackupDamagedError,
    BackupExistsError,
    BackupKeyError,
    BackupUnknownError,
    TargetNotEmptyError,
)
from mamkit_apps.backup.making import backup
from mamkit_apps.backup.places import Folder, open_place
from mamkit_apps.backup.restoring import RevisionUnknownError, restore, settings_of, verify
from mamkit_apps.backup.sealing import CHUNK, TAG, Keys, Sealer
from mamkit_apps.backup.tables import KINDS, TYPES, connected, dumped, load, one_moment, table_kinds
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import migrate
from mamkit_apps.zones import open_zones
from tests.apps.conftest import PASSWORD
from tests.apps.test_demo import run
from tests.apps.test_s3 import buckets
from tests.media_factory import make_clip
from tests.s3_servers import store_on
from tests.servers.postgres import Postgres, free_port

PHRASE = Keys(passphrase="a long walk along the river")
MADE_NEW = {"alembic_version", "jobs"}
"""Tables that a backup leaves out: the revision stands in its list, and the API makes unfinished jobs anew."""
SEARCH = "asset_words"
"""Tables of SQLite's full-text index, which triggers keep, begin so."""


def a_value(column: sa.Column[Any], number: int) -> Any:
    """Return a value for a column that its constraints let through."""
    for constraint in column.table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            choice = re.match(rf"\W*{column.name} IN \('(\w+)'", str(constraint.sqltext))
            if choice:
                return choice[1]
    if column.table.name == "assets" and column.name in {
        "trashed",
        "trashed_at",
        "purging",
    }:  # an API that runs would empty the trash
        return None if column.nullable else False
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC) + timedelta(seconds=number)
    values: dict[str, Any] = {
        "json": {"numbers": [1, 2.5, None], "text": "Ünïcode \U0001f3ac\n"},
        "uuid": uuid7(),
        "moment": moment,
        "bytes": bytes([0, 255, number % 256]),
        "boolean": True,
        "integer": number,
        "float": 0.2 if column.name == "end_sec" else 0.1,  # a range ends after it starts
        "text": f"ü{number}",
    }
    return values[table_kinds()[column.table.name][column.name]]


INSTEAD = {("share_links", "collection_id"), ("comments", "guest_name")}
"""Columns that hold something only where another, which is filled, does not."""


def fill(url: str, rows: int = 2) -> None:
    """Put rows into every table of the catalog."""
    made: dict[str, list[dict[str, Any]]] = {}
    with connected(url) as connection:
        connection.execute(sa.delete(Base.metadata.tables["event_counter"]))  # which the migrations fill
        for number, table in enumerate(Base.metadata.sorted_tables):
            made[table.name] = []
            for row in range(rows):
                values: dict[str, Any] = {}
                for column in table.columns:
                    key = next(iter(column.foreign_keys), None)
                    if column.computed is not None:
                        continue
                    if (table.name, column.name) in INSTEAD:
                        values[column.key] = None
                    elif key is None:
                        values[column.key] = a_value(column, 100 * number + row)
                    elif key.column.table.name != table.name:
                        values[column.key] = made[key.column.table.name][row][key.column.key]
                    else:  # the first row of a table refers to its last, which comes later
                        values[column.key] = None
                made[table.name].append(values)
            connection.execute(sa.insert(table), made[table.name])


def everything(url: str) -> dict[str, list[list[Any]]]:
    """Return every row of every table of the catalog."""
    with one_moment(url) as connection:
        return {name: sorted(dumped(connection, name, kinds), key=str) for name, kinds in table_kinds().items()}


def objects_of(settings: ServiceSettings) -> dict[str, tuple[bytes, str, dict[str, str]]]:
    """Return bytes, type and metadata of every object."""
    zones, found = open_zones(settings), {}
    for zone, prefix in (("staging", "uploads/"), ("masters", "masters/"), ("previews", "previews/")):
        store: ObjectStore = getattr(zones, zone)
        for info in store.list(prefix):
            with store.get(info.key) as body:
                found[info.key] = (body.read(), body.info.content_type, dict(body.info.metadata))
    return found


def installation(folder: Path, url: str | None = None) -> ServiceSettings:
    settings = ApiSettings.load(data_dir=folder, **({} if url is None else secrets_beside(url)))
    migrate(settings)
    return settings


def secrets_beside(url: str) -> dict[str, str]:
    names = ("edge_signing_key", "jwt_secret", "session_secret", "callback_secret", "sealing_keys")
    return {"database_url": url} | {name: f"{name}-0123456789-abcdefghijklmnop" for name in names}


@pytest.fixture
def filled(tmp_path: Path) -> ServiceSettings:
    """An installation with rows in every table, and objects in every zone."""
    settings = installation(tmp_path / "old")
    fill(settings.database)
    zones = open_zones(settings)
    zones.staging.put("uploads/u/a/original.mp4", b"staged" * 1000, content_type="video/mp4")
    zones.masters.put("masters/a/v1/original.mp4", os.urandom(200_000), content_type="video/mp4", metadata={"a": "b"})
    zones.masters.put("masters/a/v1/metadata.json", b"{}", content_type="application/json")
    zones.previews.put("previews/a/1/index.m3u8", b"#EXTM3U\n", content_type="application/vnd.apple.mpegurl")
    return settings


def reader(where: Path, keys: Keys | None = None) -> ArchiveReader:
    return ArchiveReader(Folder(where), keys or Keys())


def test_every_table_is_in_a_backup(tmp_path: Path) -> None:
    """Or it is one of those that are made new; a new kind of column needs a line in `KINDS`."""
    settings = installation(tmp_path / "data")
    with one_moment(settings.database) as connection:
        there = {name for name in sa.inspect(connection).get_table_names() if not name.startswith(SEARCH)}
    assert there == table_kinds().keys() | MADE_NEW
    assert {kind for columns in table_kinds().values() for kind in columns.values()} <= TYPES.keys()
    assert set(KINDS.values()) | {"json"} == TYPES.keys()


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "sqlite"), ("sqlite", "sqlite")])
def test_all_rows_are_back_in_a_database_of_either_kind(
    source: str, target: str, postgres: Postgres, tmp_path: Path
) -> None:
    old = installation(tmp_path / "old", postgres.new_database() if source == "postgres" else None)
    fill(old.database)
    before = everything(old.database)
    assert all(len(rows) == 2 for rows in before.values())
    backup(old, Folder(tmp_path / "backup"))
    new = ApiSettings.load(
        data_dir=tmp_path / "new", **(secrets_beside(postgres.new_database()) if target == "postgres" else {})
    )
    done = restore(new, reader(tmp_path / "backup"))
    after = everything(new.database)
    # Files of previews are not there, so they are made anew; events are counted on with a gap.
    changed = {"previews", "parts", "event_counter"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in before.items() if k not in changed}
    assert done.rows == sum(map(len, before.values()))
    assert len(done.missing_masters) == 2
    catalog.check(new.database)


@pytest.mark.parametrize("keys", [None, PHRASE], ids=["plain", "encrypted"])
def test_everything_is_destroyed_and_everything_is_there_again(
    filled: ServiceSettings, keys: Keys | None, tmp_path: Path
) -> None:
    rows, objects = everything(filled.database), objects_of(filled)
    assert len(objects) == 4
    made = backup(filled, Folder(tmp_path / "backup"), include="all", keys=keys)
    assert (made.objects, made.copied) == (4, 4)
    shutil.rmtree(filled.data_dir)
    done = restore(ServiceSettings.load(data_dir=filled.data_dir), reader(tmp_path / "backup", keys))
    assert done.objects == 4
    after = everything(filled.database)
    changed = {"previews", "parts", "event_counter"}
    assert {k: v for k, v in after.items() if k not in changed} == {k: v for k, v in rows.items() if k not in changed}
    assert objects_of(filled) == objects


def test_no_position_of_an_event_is_given_out_twice(tmp_path: Path) -> None:
    """Whoever saw events that the backup does not have is told that they missed something, however many come after."""
    settings = installation(tmp_path / "old")

    async def tell_some(count: int) -> tuple[list[int], EventsState]:
        site = catalog.Catalog(settings.database)
        try:
            async with site.begin() as session:
                workspace = Workspace(name="Ours")
                session.add(workspace)
                await session.flush()
                for _ in range(count):
                    await tell(session, "asset.created", workspace.id, uuid7())
            async with site.begin() as session:
                positions = [event.position for event in await number_events(session)]
            async with site.begin() as session:
                return [each for each in positions if each is not None], await events_state(session)
        finally:
            await site.close()

    asyncio.run(tell_some(3))
    backup(settings, Folder(tmp_path / "backup"))
    lost, _ = asyncio.run(tell_some(5))
    restore(settings, reader(tmp_path / "backup"), replace=True)
    told, state = asyncio.run(tell_some(4))
    assert max(lost) == 8
    assert state.purged > max(lost)  # less than it has been seen by whoever saw the lost ones
    assert min(told) > state.purged
    assert state.position < 2**53


def test_a_person_finds_their_film_again(tmp_path: Path) -> None:
    """Over the command line: an upload, a backup while the API runs, the end of all, a restore, the same login."""
    make_clip(tmp_path / "film.mp4")
    film = (tmp_path / "film.mp4").read_bytes()
    settings = ApiSettings.load(data_dir=tmp_path / ".mamkit", registration="open")
    prepare(settings)
    (tmp_path / "phrase").write_text("a long walk along the river\n")
    login = {"email": "ada@example.com", "password": PASSWORD}
    with TestClient(create_app(settings)) as api:
        tokens = api.post("/auth/register", json=login).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        presigned = api.post(
            "/api/presign",
            json={"filename": "film.mp4", "content_type": "video/mp4", "size": len(film)},
            headers=bearer,
        ).json()
        zones = open_zones(settings)
        zones.staging.put(presigned["staging_key"], film, content_type="video/mp4")
        asset = {"asset_id": presigned["asset_id"], "title": "Film", "filename": "film.mp4"}
        assert api.post("/api/assets", json=asset, headers=bearer).is_success
        assert api.post("/api/promote", json={"asset_id": presigned["asset_id"]}, headers=bearer).is_success
        made = run(
            "backup",
            "kept",
            "--objects",
            "masters",
            "--verify",
            "--passphrase-file",
            "phrase",
            cwd=tmp_path,
            timeout=60,
        )
    assert made.returncode == 0, made.stderr
    assert "encrypted, verified" in made.stdout
    everywhere = b"".join(path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file())
    assert b"ada@example.com" not in everywhere
    assert film[:64] not in everywhere
    shutil.rmtree(settings.data_dir)
    back = run("restore", "kept", "--passphrase-file", "phrase", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    again = ApiSettings.load(data_dir=settings.data_dir)
    prepare(again)
    with TestClient(create_app(again)) as api:
        tokens = api.post("/auth/login", json=login).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        [found] = api.get("/api/assets", headers=bearer).json()["items"]
        assert found["title"] == "Film"
    [master] = [key for key in objects_of(again) if key.endswith("original.mp4")]
    assert objects_of(again)[master][0] == film


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "changed":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    elif how == "cut":
        path.write_bytes(data[:-1])
    elif how == "longer":
        path.write_bytes(data + b"\0")
    else:
        path.unlink()


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    filled: ServiceSettings, encrypted: bool, tmp_path: Path
) -> None:
    """Whichever of its files it is, and whatever happened to it."""
    (tmp_path / "key").write_bytes(b"\n" + os.urandom(30) + b"\n")
    keys = Keys(key_file=tmp_path / "key") if encrypted else None
    place = tmp_path / "backup"
    backup(filled, Folder(place), include="all", keys=keys)
    target = ServiceSettings.load(data_dir=tmp_path / "new")
    files = [path for path in place.rglob("*") if path.is_file() and path.name != "backup.json"]
    some = [path for path in files if path.parent.name != "database"] + sorted(place.glob("database/*"))[:2]
    assert len(some) == 9
    for path, how in itertools.product(some, ("changed", "cut", "longer", "gone")):
        kept = path.read_bytes()
        spoil(path, how)
        with pytest.raises(BackupDamagedError):
            restore(target, reader(place, keys))
        path.write_bytes(kept)
    assert not target.data_dir.exists()
    head = (place / "backup.json").read_bytes()
    for spoilt in (
        head[:-20],
        head.replace(b'"sha256": "', b'"sha256": "0'),
        b"[]",
        b"{}",
        b'{"format": "mamkit-backup"}',
    ):
        (place / "backup.json").write_bytes(spoilt)
        with pytest.raises((BackupDamagedError, BackupUnknownError)):
            restore(target, reader(place, keys))
    (place / "backup.json").unlink()
    with pytest.raises(BackupUnknownError, match="no finished backup"):
        reader(place, keys)
    assert not target.data_dir.exists()


def test_a_backup_that_breaks_off_is_none(filled: ServiceSettings, tmp_path: Path) -> None:
    class Full(Folder):
        def write(self, name: str, blocks: Any) -> None:
            if name.startswith("objects/masters"):
                raise OSError(28, "No space left on device")
            super().write(name, blocks)

    with pytest.raises(OSError, match="No space"):
        backup(filled, Full(tmp_path / "backup"), include="all")
    with pytest.raises(BackupUnknownError):
        reader(tmp_path / "backup")
    with pytest.raises(BackupExistsError):
        backup(filled, Folder(tmp_path / "backup"))


def test_a_wrong_a_missing_and_a_needless_key_are_told(filled: ServiceSettings, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(48))
    backup(filled, Folder(tmp_path / "a"), keys=PHRASE)
    backup(filled, Folder(tmp_path / "b"), keys=Keys(key_file=key))
    backup(filled, Folder(tmp_path / "c"))
    assert verify(reader(tmp_path / "b", Keys(key_file=key))) > 0
    with pytest.raises(BackupDamagedError, match="the key is another one"):
        reader(tmp_path / "a", Keys(passphrase="another"))
    with pytest.raises(BackupKeyError, match="--passphrase-file"):
        reader(tmp_path / "a")
    with pytest.raises(BackupKeyError, match="--key-file"):
        reader(tmp_path / "b", PHRASE)
    with pytest.raises(BackupKeyError, match="not encrypted"):
        reader(tmp_path / "c", PHRASE)
    key.write_bytes(b"short")
    with pytest.raises(BackupKeyError, match="32 bytes"):
        reader(tmp_path / "b", Keys(key_file=key))
    assert "river" not in repr(PHRASE)


def test_a_key_that_would_cost_too_much_is_not_derived(filled: ServiceSettings, tmp_path: Path) -> None:
    backup(filled, Folder(tmp_path / "a"), keys=PHRASE)
    head = json.loads((tmp_path / "a" / "backup.json").read_text())
    head["encryption"]["memory_kib"] = 1 << 31
    (tmp_path / "a" / "backup.json").write_text(json.dumps(head))
    with pytest.raises(BackupUnknownError, match="too much"):
        reader(tmp_path / "a", PHRASE)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_chunks_cannot_be_moved_left_out_or_taken_for_anothers(size: int) -> None:
    sealer, data = Sealer(os.urandom(32), {}), os.urandom(size)
    sealed = b"".join(sealer.seal("a", [data[:7], data[7:]]))
    assert b"".join(sealer.open("a", [sealed[:5], sealed[5:]])) == data
    step = CHUNK + TAG
    chunks = [sealed[16 + start : 16 + start + step] for start in range(0, len(sealed) - 16, step)]
    bad = [sealed[:16] + b"".join(chunks[:-1]), sealed[:10], sealed + b"\0"]
    if len(chunks) > 2:
        bad += [sealed[:16] + b"".join([chunks[1], chunks[0], *chunks[2:]]), sealed[:16] + b"".join(chunks[1:])]
    for each in bad:
        with pytest.raises(BackupDamagedError):
            list(sealer.open("a", [each]))
    with pytest.raises(BackupDamagedError):
        list(sealer.open("b", [sealed]))
    assert sealed != b"".join(sealer.seal("a", [data]))


def test_a_backup_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    """Each of the writer's transactions adds a user and a session; a backup has both or neither."""
    settings = installation(tmp_path / "data")
    stop = threading.Event()
    written: list[int] = []
    users, sessions = Base.metadata.tables["users"], Base.metadata.tables["sessions"]

    def write() -> None:
        engine = sync_engine(settings.database)
        while not stop.is_set():
            number = len(written)
            with engine.begin() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                user = {"id": uuid7(), "email": f"{number}@x", "display_name": "", "status": "active"}
                connection.execute(sa.insert(users).values(user | {"created_at": utc_now(), "updated_at": utc_now()}))
                session = {column.name: a_value(column, number) for column in sessions.columns} | {
                    "user_id": user["id"]
                }
                connection.execute(sa.insert(sessions).values(session))
            written.append(number)
            stop.wait(0.002)  # so that the other thread comes to work
        engine.dispose()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 5:
            assert writer.is_alive()
        for round_ in range(2):
            backup(settings, Folder(tmp_path / f"backup-{round_}"))
            tables = reader(tmp_path / f"backup-{round_}").facts["tables"]
            assert tables["users"]["rows"] == tables["sessions"]["rows"] > 0
    finally:
        stop.set()
        writer.join()
    assert len(written) > tables["users"]["rows"] - 1
    assert len(everything(settings.database)["users"]) == len(written)


def test_rows_that_refer_to_later_ones_find_them(tmp_path: Path, postgres: Postgres) -> None:
    """A tree in one table, and numbers that the database gives: no table of the catalog has them yet, both may come."""
    metadata = sa.MetaData()
    tree = sa.Table(
        "tree",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.ForeignKey("tree.id")),
        sa.Column("text", sa.Text),
    )
    rows: list[list[Any]] = [[1, 3, "leaf"], [2, None, "root"], [3, 2, "branch"]]
    for url in (f"sqlite:///{tmp_path / 'tree.db'}", postgres.new_database()):
        with closing_engine(url) as engine:
            metadata.create_all(engine)
        kinds = {"id": "integer", "parent_id": "integer", "text": "text"}
        for _ in range(2):
            with connected(url) as connection:
                assert load(connection, {"tree": kinds}, lambda _: rows) == {"tree": 3}
        with connected(url) as connection:
            assert [list(row) for row in connection.execute(sa.select(tree).order_by(tree.c.id))] == rows
            connection.execute(sa.insert(tree).values(text="new"))
            assert connection.scalar(sa.select(sa.func.max(tree.c.id))) == 4


def closing_engine(url: str) -> Any:
    engine = sync_engine(url)
    return closing(
        type("Engine", (), {"close": engine.dispose, "__getattr__": lambda _, name: getattr(engine, name)})()
    )


def test_a_target_with_rows_or_other_objects_is_left_alone_unless_told(filled: ServiceSettings, tmp_path: Path) -> None:
    backup(filled, Folder(tmp_path / "backup"), include="masters")
    other = installation(tmp_path / "other")
    zones = open_zones(other)
    zones.masters.put("masters/a/v1/original.mp4", b"another film", content_type="video/mp4")
    with pytest.raises(TargetNotEmptyError, match="other bytes"):
        restore(other, reader(tmp_path / "backup"))
    fill(other.database)
    before = everything(other.database)
    with pytest.raises(TargetNotEmptyError, match="users"):
        restore(other, reader(tmp_path / "backup"))
    assert everything(other.database) == before
    restore(other, reader(tmp_path / "backup"), replace=True)
    assert everything(other.database)["users"] == everything(filled.database)["users"]
    assert objects_of(other)["masters/a/v1/original.mp4"] == objects_of(filled)["masters/a/v1/original.mp4"]


def test_a_database_that_is_away_is_told_and_changes_nothing(filled: ServiceSettings, tmp_path: Path) -> None:
    backup(filled, Folder(tmp_path / "backup"))
    away = ApiSettings.load(
        data_dir=tmp_path / "new", **secrets_beside(f"postgresql://mamkit:hunter2@127.0.0.1:{free_port()}/x")
    )
    with pytest.raises(CatalogUnavailableError):
        restore(away, reader(tmp_path / "backup"))
    with pytest.raises(CatalogUnavailableError):
        backup(away, Folder(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def test_a_backup_of_tables_to_come_is_refused(filled: ServiceSettings, tmp_path: Path) -> None:
    writer = ArchiveWriter(Folder(tmp_path / "backup"), None)
    writer.close({"revision": "9999", "tables": {}, "objects": 0, "sealing_keys": []}, created_at=utc_now())
    before = everything(filled.database)
    with pytest.raises(RevisionUnknownError, match="9999"):
        restore(filled, reader(tmp_path / "backup"), replace=True)
    assert everything(filled.database) == before


def test_settings_are_kept_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_NAME", "Film")
    monkeypatch.setenv("EDGE_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("SMTP_URL", "smtp://ada:hunter2-and-more@mail.example")
    settings = installation(tmp_path / "data")
    backup(settings, Folder(tmp_path / "backup"))
    lines = settings_of(reader(tmp_path / "backup")).splitlines()
    assert "SITE_NAME=Film" in lines
    assert "EDGE_ORIGINS=https://a.example,https://b.example" in lines
    assert "# SMTP_URL= was set, and is a secret" in lines
    assert all(b"hunter2" not in path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file())


def test_a_backup_goes_to_a_bucket_and_back(weed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an installation whose objects are in a bucket, too."""
    for name, value in buckets("backup", weed).items():
        monkeypatch.setenv(name, "backup" if name.endswith("_BUCKET") else value)
    store_on(weed, "backup")
    settings = installation(tmp_path / "old")
    fill(settings.database)
    film, masters = b"film" * 100_000, open_zones(settings).masters
    masters.put("masters/a/v1/original.mp4", film, content_type="video/mp4")
    listed, copied = (open_place(f"s3://backup/kept/{name}", settings) for name in ("listed", "copied"))
    backup(settings, listed)
    backup(settings, copied, include="masters", keys=PHRASE)
    with pytest.raises(BackupExistsError):
        backup(settings, listed)
    [line] = ArchiveReader(listed, Keys()).lines("objects.jsonl.gz")
    assert (line["key"], line["size"]) == ("masters/a/v1/original.mp4", len(film))
    assert line["sha256"] == hashlib.sha256(film).hexdigest()
    masters.delete("masters/a/v1/original.mp4")
    new = ApiSettings.load(data_dir=tmp_path / "new")
    assert restore(new, ArchiveReader(copied, PHRASE)).objects == 1
    assert objects_of(new)["masters/a/v1/original.mp4"][0] == film
    assert everything(new.database)["users"] == everything(settings.database)["users"]


def test_a_large_master_takes_little_memory(tmp_path: Path, figure: Any) -> None:
    settings = installation(tmp_path / "old")

    def film() -> Iterator[bytes]:
        for _ in range(64):
            yield bytes(1 << 20)

    open_zones(settings).masters.put("masters/a/v1/original.mp4", film(), content_type="video/mp4")
    tracemalloc.start()
    try:
        backup(settings, Folder(tmp_path / "backup"), include="masters", keys=PHRASE)
        restore(ServiceSettings.load(data_dir=tmp_path / "new"), reader(tmp_path / "backup", PHRASE))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    figure(f"64 MiB through backup and restore with a peak of {peak / 2**20:.1f} MiB")
    assert peak < 24 << 20
