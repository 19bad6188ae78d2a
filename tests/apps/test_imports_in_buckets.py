"""Imports where objects are in buckets: parts outlive a break, and a watched bucket is copied by its server."""

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mamkit.storage import PrefixStore
from mamkit.storage.s3 import S3Store
from mamkit_apps.api.imports import importer as importing
from mamkit_apps.api.imports.importer import Importer
from mamkit_apps.api.imports.watching import Watcher
from tests.apps.people import open_site
from tests.apps.test_s3 import CREDENTIALS
from tests.s3_servers import store_on
from tests.servers.media_host import file, media_host

PART = 5 << 20  # bytes; no store takes smaller ones
BODY = b"\x00\x00\x00\x18ftypisom" + os.urandom(11 << 20)  # three parts


def test_a_url_and_a_watched_bucket_are_imported_within_s3(
    weed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "FIRST_PAUSE", importing.FIRST_PAUSE * 0)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    stores = {zone: store_on(weed, f"import-{zone}") for zone in ("staging", "masters", "previews", "watched")}
    settings: dict[str, Any] = {f"{zone}_bucket": f"import-{zone}" for zone in ("staging", "masters", "previews")}
    settings |= {"s3_endpoint": weed, "s3_region": "us-east-1", "import_networks": "127.0.0.2/32"}
    watched: dict[str, Any] = {
        "watch_bucket": "import-watched",
        "watch_prefix": "in/",
        "watch_owner": "ada@example.org",
    }
    with media_host() as host, open_site(tmp_path, **settings, **watched) as site:
        assert site.client.blocking_portal is not None
        call: Callable[[Callable[[], Awaitable[Any]]], Any] = site.client.blocking_portal.call
        importer: Importer = site.client.app.state.importer
        watcher: Watcher = site.client.app.state.watchers[0]
        bringer: Any = importer._bringers["url"]
        bringer._part_size = PART
        ada = site.person("ada@example.org")
        url = host.put("/film.mp4", file(BODY, breaks=[7 << 20, 100]))
        begun = ada.call("POST", "/api/imports", {"url": url}).json()
        call(importer.work_off)
        done = ada.call("GET", f"/api/imports/{begun['id']}").json()
        assert (done["state"], done["received"]) == ("done", len(BODY)), done
        assert [headers.get("range") for _, headers in host.asked] == [None, *[f"bytes={PART}-"] * 2]
        [master] = [info for info in stores["masters"].list("masters/") if info.key.endswith(".mp4")]
        with stores["masters"].get(master.key) as body:
            assert body.read() == BODY

        stores["watched"].put("in/reel.mp4", BODY[:-1])
        read: list[str] = []
        whole_get = S3Store.get

        def get(self: S3Store, key: str, *arguments: Any) -> Any:
            read.append(f"{self!r} {key} {arguments}")
            return whole_get(self, key, *arguments)

        monkeypatch.setattr(S3Store, "get", get)
        assert call(watcher.look) == 1
        call(importer.work_off)
        assert call(watcher.look) == 0
        assert [entry for entry in read if "in/reel.mp4" in entry and "512" not in entry] == [], "the server copies"
        assert [info.key for info in PrefixStore(stores["watched"], "in/").list()] == ["done/reel.mp4"]
        titles = [each["title"] for each in ada.call("GET", "/api/assets").json()["items"]]
        assert sorted(titles) == ["film.mp4", "reel"]
        assert list(stores["staging"].list("uploads/")) == []
        assert list(stores["staging"].unfinished(older_than=timedelta(0))) == []
