"""Watched folders and buckets: each file once, whole, and nothing that is outside."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from mamkit.catalog.import_models import Import
from mamkit.storage import LocalStore, MemoryStore, ObjectStore
from mamkit_apps.api.imports import bucket as buckets
from mamkit_apps.api.imports import importer
from mamkit_apps.api.imports.bucket import Bucket, BucketBringer
from mamkit_apps.api.imports.folder import Folder
from mamkit_apps.api.imports.importer import Importer
from mamkit_apps.api.imports.watching import Watcher, origin_of
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.settings import SettingsError
from tests.apps.people import Person, Site, open_site
from tests.s3_servers import store_on

BODY = b"\x00\x00\x00\x18ftypisom" + os.urandom(1 << 20)


class Clock:
    """Seconds that go forward when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A site with one watched folder, whose watcher looks when it is told to."""

    def __init__(self, site: Site, path: Path, ada: Person, *, move: bool = True) -> None:
        self.site, self.path, self.ada, self.clock = site, path, ada, Clock()
        self.folder = Folder(path, settle=timedelta(seconds=10), clock=self.clock)
        self.watcher = self.watching(self.folder, move=move)
        self.importer: Importer = site.client.app.state.importer
        bringer: Any = self.importer._bringers["folder"]
        bringer._folder = self.folder

    def watching(self, inbox: Any, *, move: bool) -> Watcher:
        return Watcher(self.site.parts.catalog, inbox, owner=self.ada.email, workspace_id=None, move=move)

    def run(self, *work: Callable[[], Awaitable[Any]]) -> list[int]:
        async def together() -> list[int]:
            return list(await asyncio.gather(*(each() for each in work)))

        assert self.site.client.blocking_portal is not None
        found: list[int] = self.site.client.blocking_portal.call(together)
        return found

    def look(self) -> int:
        """Look, and once more after files have settled; import what was found; return how many that were."""
        added = sum(self.run(self.watcher.look))
        self.clock.now += 10
        added += sum(self.run(self.watcher.look))
        self.run(self.importer.work_off)
        return added

    def left(self) -> list[str]:
        return sorted(str(each.relative_to(self.path)) for each in self.path.rglob("*") if not each.is_dir())

    def imports(self) -> list[Import]:
        query = sa.select(Import).where(Import.user_id == UUID(self.ada.id)).order_by(Import.id)

        async def read() -> list[Import]:
            async with self.site.parts.catalog.read() as session:
                return list(await session.scalars(query))

        assert self.site.client.blocking_portal is not None
        found: list[Import] = self.site.client.blocking_portal.call(read)
        return found

    def titles(self) -> list[str]:
        return sorted(each["title"] for each in self.ada.call("GET", "/api/assets").json()["items"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with open_site(folder / "data", watch_folder=str(folder / "unused"), watch_owner="watch@example.org") as site:
        yield site


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails on a busy machine is tried again at once."""
    monkeypatch.setattr(importer, "FIRST_PAUSE", timedelta(0))
    monkeypatch.setattr(importer, "OUTAGE", timedelta(0))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


@pytest.fixture
def place(site: Site, inbox: Path) -> Place:
    return Place(site, inbox, site.person())


def test_files_are_imported_and_put_away(place: Place) -> None:
    (place.path / "reel 1").mkdir()
    for name in ("a.mp4", "reel 1/b.mov"):
        (place.path / name).write_bytes(BODY + name.encode())
    (place.path / "notes.txt").write_text("no film")
    assert place.look() == 3
    assert place.titles() == ["a", "b"]
    assert place.look() == 0
    assert place.left() == ["done/a.mp4", "done/reel 1/b.mov", "failed/notes.txt", "failed/notes.txt.reason.txt"]
    assert "apps.import_refused: it is a text" in (place.path / "failed/notes.txt.reason.txt").read_text()
    assert {row.origin for row in place.imports()} == {None}
    masters = LocalStore(place.site.settings.data_dir / "objects").list("masters/")
    assert sorted(info.size for info in masters if not info.key.endswith(".json")) == sorted(
        len(BODY) + len(name) for name in ("a.mp4", "reel 1/b.mov")
    )


def test_a_file_comes_again_after_it_was_put_away(place: Place) -> None:
    """Its bytes are known; its name in `done` is taken."""
    for _ in range(2):
        (place.path / "a.mp4").write_bytes(BODY)
        assert place.look() == 1
        place.run(place.watcher.look)
    assert place.titles() == ["a"]
    assert [row.duplicate for row in place.imports()] == [False, True]
    assert place.left() == [f"done/a.{place.imports()[1].id.hex}.mp4", "done/a.mp4"]


def test_a_file_is_taken_when_nobody_writes_to_it_any_more(place: Place) -> None:
    path = place.path / "a.mp4"
    path.write_bytes(b"")
    assert place.look() == 0, "an empty file is one that begins"
    with path.open("wb") as file:
        for _ in range(3):
            file.write(BODY)
            file.flush()
            place.clock.now += 9
            assert sum(place.run(place.watcher.look)) == 0, "it grows"
        place.clock.now += 100
        assert sum(place.run(place.watcher.look)) == 0, "it is open"
    os.utime(path, (5, 5))
    assert sum(place.run(place.watcher.look)) == 0, "its time has changed"
    place.clock.now += 10
    assert sum(place.run(place.watcher.look)) == 1


def test_nothing_outside_of_the_folder_is_taken(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(BODY)
    (place.path / "link.mp4").symlink_to(outside / "secret.mp4")
    (place.path / "folder").symlink_to(outside)
    (place.path / "second-name.mp4").hardlink_to(outside / "secret.mp4")
    (place.path / ".hidden.mp4").write_bytes(BODY)
    (place.path / "line\nbreak.mp4").write_bytes(BODY)
    os.mkfifo(place.path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as unix:
        here = Path.cwd()
        os.chdir(place.path)  # the path of a socket is short
        try:
            unix.bind("socket.mp4")
        finally:
            os.chdir(here)
        assert place.look() == 0
    with pytest.raises(OSError, match="Too many"), place.folder.opened("link.mp4"):
        pass
    with pytest.raises(OSError, match="folder"), place.folder.opened("folder/secret.mp4"):
        pass


@pytest.mark.parametrize("with_what", ["link", "other bytes", "nothing"])
def test_a_file_that_is_replaced_before_it_is_read_is_not_taken_for_it(
    place: Place, tmp_path: Path, with_what: str
) -> None:
    (tmp_path / "secret.mp4").write_bytes(BODY)
    path = place.path / "a.mp4"
    path.write_bytes(BODY)
    place.run(place.watcher.look)
    place.clock.now += 10
    assert place.run(place.watcher.look) == [1]
    path.unlink()
    if with_what == "link":
        path.symlink_to(tmp_path / "secret.mp4")
    elif with_what == "other bytes":
        path.write_bytes(BODY[:-1])
    place.run(place.importer.work_off)
    assert [(row.state, row.failure_code) for row in place.imports()] == [("failed", "apps.import_changed")]
    assert place.titles() == []
    assert place.look() == (with_what == "other bytes"), "which is looked at by itself"
    assert place.titles() == (["a"] if with_what == "other bytes" else [])


def test_the_folders_of_what_is_put_away_are_followed_nowhere(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (place.path / "done").symlink_to(tmp_path / "outside")
    (place.path / "a.mp4").write_bytes(BODY)
    assert place.look() == 1
    with pytest.raises(OSError, match="done"):
        place.run(place.watcher.look)
    assert list((tmp_path / "outside").iterdir()) == []


def test_two_who_watch_one_folder_import_each_file_once(place: Place) -> None:
    other_clock = Clock()
    other = place.watching(Folder(place.path, settle=timedelta(seconds=10), clock=other_clock), move=True)
    for number in range(10):
        (place.path / f"{number}.mp4").write_bytes(BODY + bytes([number]))
    place.run(place.watcher.look, other.look)
    place.clock.now = other_clock.now = 10
    assert sum(place.run(*[place.watcher.look, other.look] * 2)) == 10
    place.run(*[place.importer.work_off] * 3)
    assert [(row.state, row.failure) for row in place.imports()] == [("done", None)] * 10
    place.run(place.watcher.look, other.look)
    assert place.titles() == [str(number) for number in range(10)]
    assert place.left() == [f"done/{number}.mp4" for number in range(10)]


def test_what_is_left_where_it_is_is_imported_once_and_again_when_it_changes(site: Site, inbox: Path) -> None:
    place = Place(site, inbox, site.person(), move=False)
    path = place.path / "a.mp4"
    path.write_bytes(BODY)
    assert place.look() == 1
    for _ in range(2):
        place.folder._pending.clear()  # as in a process that was started anew
        place.watcher._known.clear()
        assert place.look() == 0
    path.write_bytes(BODY + b"\0")
    assert place.look() == 1
    assert place.titles() == ["a", "a"]
    assert place.left() == ["a.mp4"]


def test_what_we_keep_ourselves_is_not_watched(tmp_path: Path) -> None:
    """It would be imported, and moved away."""
    own: dict[str, Any] = {"data_dir": tmp_path / "data", "watch_owner": "ada@example.org"}
    for folder in (tmp_path, tmp_path / "data", tmp_path / "data" / "objects", tmp_path / "data" / ".." / "data"):
        with pytest.raises(SettingsError, match="within each other"):
            ApiSettings.load(**own, watch_folder=folder)
    buckets_of_ours = {f"{zone}_bucket": zone for zone in ("staging", "masters", "previews")}
    for zone in ("staging", "masters", "previews"):
        with pytest.raises(SettingsError, match="must be another"):
            ApiSettings.load(**own, **buckets_of_ours, watch_bucket=zone)
    assert ApiSettings.load(**own, watch_folder=tmp_path / "inbox").watch_after == "move"


def test_nobody_is_to_watch_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="WATCH_OWNER"):
        ApiSettings.load(data_dir=tmp_path / "data", watch_folder=tmp_path / "inbox")


def test_without_its_account_or_its_folder_nothing_is_imported(place: Place) -> None:
    stranger = Watcher(place.site.parts.catalog, place.folder, owner="nobody@example.org", workspace_id=None, move=True)
    (place.path / "a.mp4").write_bytes(BODY)
    place.run(stranger.look)
    place.clock.now += 10
    with pytest.raises(OSError, match="WATCH_OWNER"):
        place.run(stranger.look)
    lost = place.watching(Folder(place.path / "gone", settle=timedelta(seconds=1)), move=True)
    with pytest.raises(OSError, match="gone"):
        place.run(lost.look)


@pytest.fixture(params=["memory", "weed"])
def source(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        with store_on(request.getfixturevalue("weed"), "watched") as store:
            yield store


def test_objects_are_imported_and_put_away(place: Place, source: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = Bucket(source, "inbox/")
    watcher = place.watching(inbox, move=True)
    bringer = BucketBringer(inbox, place.site.parts.zones.staging, most=len(BODY) + 5)
    monkeypatch.setattr(place.importer, "_bringers", {"bucket": bringer})
    for key in ("inbox/a.mp4", "inbox/reel/b.mp4", "outbox/c.mp4"):
        source.put(key, BODY + key.encode()[-5:])
    source.put("inbox/large.mp4", BODY + bytes(100))
    source.put("inbox/empty.mp4", b"")
    source.put("inbox/notes.txt", b"no film")
    assert place.run(watcher.look) == [4]
    place.run(*[place.importer.work_off] * 2)
    assert place.run(watcher.look) == [0]
    assert place.titles() == ["a", "b"]
    assert [info.key for info in source.list()] == [
        "inbox/done/a.mp4",
        "inbox/done/reel/b.mp4",
        "inbox/empty.mp4",
        "inbox/failed/large.mp4",
        "inbox/failed/large.mp4.reason.txt",
        "inbox/failed/notes.txt",
        "inbox/failed/notes.txt.reason.txt",
        "outbox/c.mp4",
    ]
    source.put("inbox/a.mp4", BODY)
    assert place.run(watcher.look) == [1]
    source.put("inbox/a.mp4", BODY + b"other")
    place.run(place.importer.work_off)
    assert place.imports()[-1].failure_code == "apps.import_changed"
    assert place.run(watcher.look) == [1], "what has taken its place is looked at by itself"
    place.run(place.importer.work_off)
    place.run(watcher.look)
    assert place.titles() == ["a", "a", "b"]


def test_a_look_at_a_large_bucket_costs_no_more_than_at_a_small_one(
    source: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of its objects come, after as many looks as it takes; what was put away is stepped over."""
    monkeypatch.setattr(buckets, "MOST", 7)
    names = [f"{number:03}" for number in range(20)] + ["zz"]
    for name in names:
        for folder in ("", "done/", "done/ünder/"):
            source.put(f"large/{folder}{name}", b"x")
    inbox = Bucket(source, "large/")
    looks = [[found.name for found in inbox.look(())] for _ in range(8)]
    assert all(len(look) <= 7 for look in looks)
    seen = [name for look in looks for name in look]
    assert seen[: len(names)] == names
    assert set(seen[len(names) :]) <= set(names), "and then from the first on"
    assert len(seen) > len(names)
    known = {found.origin for _ in range(4) for found in inbox.look(())}
    assert [found for _ in range(4) for found in inbox.look(known)] == []


def test_origins_are_told_apart() -> None:
    told = [("folder", "a", 1, 2), ("folder", "a", 12), ("bucket", "a", 1, 2), ("folder", json.dumps(["a", 1]), 2)]
    assert len({origin_of(*each) for each in told}) == len(told)  # type: ignore[arg-type]
