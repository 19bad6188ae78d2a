"""An installation whose objects are in buckets: made, checked, and used by every service."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mamkit.client import AsyncClient, Client
from mamkit.storage import Expected
from mamkit.storage.s3 import S3Store
from mamkit_apps.cli.gc import _collect
from mamkit_apps.demo.run import Report, run_demo
from mamkit_apps.settings import SettingsError
from mamkit_apps.supervisor import Services
from mamkit_apps.wiring import migrate
from mamkit_apps.worker.settings import WorkerSettings
from mamkit_apps.zones import open_zones
from tests.apps.api_process import bearer, running_api
from tests.media_factory import make_clip
from tests.s3_servers import ACCESS_KEY, SECRET_KEY

CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}


def buckets(name: str, endpoint: str) -> dict[str, str]:
    zones = {f"{zone.upper()}_BUCKET": f"{name}-{zone}" for zone in ("staging", "masters", "previews")}
    return {**CREDENTIALS, **zones, "S3_ENDPOINT": endpoint, "S3_REGION": "us-east-1"}


def storage(command: str, settings: dict[str, str], *arguments: str) -> tuple[int, dict[tuple[str, str], Any]]:
    """Run `mamkit storage`, and return its status and its findings by zone and setting."""
    done = subprocess.run(
        [sys.executable, "-m", "mamkit_apps.cli", "storage", command, "--json", *arguments],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    findings = json.loads(done.stdout) if done.stdout else []
    return done.returncode, {(each["bucket"].rpartition("-")[2], each["setting"]): each["state"] for each in findings}


@pytest.mark.parametrize("server", ["seaweedfs", "ceph"])
def test_buckets_are_made_and_checked(server: str, request: pytest.FixtureRequest) -> None:
    """What a server cannot do is said; everything else is there, and stays so when it is asked for again."""
    settings = buckets("checked", request.getfixturevalue("weed" if server == "seaweedfs" else "ceph"))
    status, _ = storage("check", settings)
    assert status == 1  # there are none yet
    status, found = storage("init", settings)
    cannot = {setting for (_, setting), state in found.items() if state != "ok"}
    if server == "seaweedfs":
        assert cannot == {"public access"}
    else:
        assert cannot >= {"checksums", "encryption", "conditional copies", "copies of one version", "removals by ETag"}
    assert found["staging", "replacements by ETag"] == found["previews", "replacements by ETag"] == "ok"
    assert ("masters", "replacements by ETag") not in found  # where nothing is ever replaced
    assert status == 0
    for zone in ("staging", "masters", "previews"):
        assert found[zone, "lifecycle"] == "ok"
    assert found["masters", "object lock"] == found["masters", "versioning"] == "ok"
    assert found["staging", "CORS"] == found["previews", "CORS"] == "ok"
    assert storage("init", settings) == (0, found)
    status, checked = storage("check", settings)
    if server == "ceph":  # that it cannot do these is only seen where it is tried
        other = {setting for key, setting in found if checked[key, setting] != found[key, setting]}
        assert other <= {"public access", "encryption"}
    else:
        assert (status, checked) == (0, found)
    status, found = storage("check", settings, "--lock-days", "31", "--origin", "https://video.example")
    assert status == 1
    assert found["masters", "object lock"] == "differs"


def test_settings_that_do_not_go_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_BUCKET", "staging")
    with pytest.raises(SettingsError, match="MASTERS_BUCKET"):
        WorkerSettings.load()
    status, _ = storage("check", {})
    assert status == 1


@contextmanager
def environment(settings: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


def test_a_film_goes_through_its_whole_life_in_buckets(weed: str, tmp_path: Path) -> None:
    """The client uploads to S3 itself; API, worker and edge find everything there, and nothing on the disk."""
    settings = buckets("life", weed)
    assert storage("init", settings)[0] == 0
    film, work, report = tmp_path / "film.mp4", tmp_path / "fetched", Report()
    make_clip(film, seconds=4, width=426, height=240)
    work.mkdir()

    def show(title: str) -> Any:
        assert title
        return hidden()

    more = settings | {"REGISTRATION": "open", "MASTERS_RETENTION_DAYS": "31"}
    with Services(
        tmp_path / "data", api_port=0, edge_port=0, logs=tmp_path / "logs", fresh=True, settings=more
    ) as services:
        run_demo(film, data_dir=tmp_path / "data", api_url=services.api_url, work=work, report=report, show=show)
    assert report.complete
    assert not (tmp_path / "data" / "objects").exists()
    with environment(settings):
        zones = open_zones(WorkerSettings.load(data_dir=tmp_path / "data"))
    masters = [info.key for info in zones.masters.list("masters/")]
    assert [key.rpartition("/")[2] for key in masters] == ["metadata.json", "original.mp4"]
    assert any(info.key.endswith("index.m3u8") for info in zones.previews.list("previews/"))
    assert list(zones.staging.list("uploads/")) == []


def test_both_clients_upload_into_buckets_in_one_request_and_in_parts(weed: str, tmp_path: Path) -> None:
    """What a URL is signed with stands in its query here, and not in its path as at the edge."""
    settings = buckets("sent", weed)
    assert storage("init", settings)[0] == 0
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    first.write_bytes(b"some bytes")
    second.write_bytes(b"others, as a version of the same asset")
    with running_api(tmp_path, processes=1, **settings) as [api]:
        token = bearer(api.url)["authorization"].partition(" ")[2]
        with Client(api.url, token=token) as client:
            made = client.upload(first, title="Film")
            assert (made.size, client.upload(second, asset_id=made.asset_id).number) == (first.stat().st_size, 2)

        async def upload() -> tuple[int, int]:
            async with AsyncClient(api.url, token=token) as client:
                made = await client.upload(first, title="Film")
                return made.size, (await client.upload(second, asset_id=made.asset_id)).number

        assert asyncio.run(upload()) == (first.stat().st_size, 2)


FORGOT = "forgot 0 events, deliveries and notifications\n"


def test_what_nobody_finished_is_listed_and_then_removed(
    weed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each of the three buckets; what is young is left alone, and so is everything in a dry run."""
    settings = buckets("gone", weed)
    assert storage("init", settings)[0] == 0
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    loaded = WorkerSettings.load(data_dir=tmp_path)
    migrate(loaded)
    zones = open_zones(loaded)
    expected = Expected(size=6 << 20)

    def collect(age: timedelta, *, dry_run: bool) -> tuple[list[str], str]:
        asyncio.run(_collect(loaded, older_than=age, dry_run=dry_run))
        said = capsys.readouterr()
        return [line.partition(": ")[0] for line in said.out.splitlines()], said.err.strip()

    for store in (zones.staging, zones.masters, zones.previews):
        assert isinstance(store, S3Store)
        store.begin_parts("film.mp4", content_type="video/mp4", expected=expected)
    lines = [f"{zone} - film.mp4" for zone in ("staging", "masters", "previews")]
    nothing = f"{FORGOT}removed 0 objects of 0 bytes and 0 unfinished uploads"
    assert collect(timedelta(days=1), dry_run=False) == ([], nothing)
    for _ in range(2):
        found = collect(timedelta(0), dry_run=True)
        assert found == (lines, "would remove 0 objects of 0 bytes and 3 unfinished uploads")
    removed = f"{FORGOT}removed 0 objects of 0 bytes and 3 unfinished uploads"
    assert collect(timedelta(0), dry_run=False) == (lines, removed)
    assert collect(timedelta(0), dry_run=True)[0] == []


@contextmanager
def hidden() -> Iterator[Any]:
    """A progress bar that nobody sees."""
    yield lambda _: None
