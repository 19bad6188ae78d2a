"""The whole life of an asset, by a client that knows only the OpenAPI document, on both kinds of installation."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import av
import pytest

from mamkit_apps.supervisor import Services
from tests.apps.described_client import Answer, DescribedClient
from tests.apps.test_s3 import buckets
from tests.media_factory import make_clip
from tests.s3_servers import store_on
from tests.unit.transcode.test_subtitles import with_subtitles

PASSWORD = "correct horse battery staple"
SECRETS = ("EDGE_SIGNING_KEY", "JWT_SECRET", "SESSION_SECRET", "CALLBACK_SECRET", "SEALING_KEYS")
SCOPES = [
    f"{kind}.{verb}" for kind in ("asset", "comment", "collection") for verb in ("create", "read", "update", "delete")
]
PADDING = 9 << 20  # bytes; more than a part of an upload has


@contextmanager
def installation(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Run API, edge and worker, and give the URL of the API."""
    settings = {"REGISTRATION": "open"}
    if kind == "distributed":
        endpoint = request.getfixturevalue("weed")
        settings |= buckets("described", endpoint)
        settings |= {name: f"a secret of the tests that is long enough, {name}" for name in SECRETS}
        settings["DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
        settings["REDIS_URL"] = f"{request.getfixturevalue('redis_server').url.removesuffix('/0')}/6"
        for name in ("staging", "masters", "previews"):
            store_on(endpoint, f"described-{name}")
    data, logs = folder / "data", folder / "logs"
    with Services(data, api_port=0, edge_port=0, logs=logs, fresh=True, settings=settings) as services:
        yield services.api_url


class Life:
    """What has become of an asset so far."""

    def __init__(self, client: DescribedClient, film: bytes) -> None:
        self.client = client
        self.call = client.call
        self.film = film
        self.asset: dict[str, str] = {}
        self.version: dict[str, str] = {}

    def log_in(self) -> None:
        """Make an account and log in to it; then go on with an API key."""
        email = f"{uuid4().hex}@example.com"
        self.call("accounts_register", body={"email": email, "password": PASSWORD})
        tokens = self.call("accounts_login", body={"email": email, "password": PASSWORD})
        renewed = self.call("accounts_refresh", body={"refresh_token": tokens["refresh_token"]})
        self.client.credentials["bearer"] = renewed["access_token"]
        assert self.call("accounts_me")["email"] == email
        scopes = [*SCOPES, "asset.share", "asset.download", "preview.read", "preview.create", "workspace.read"]
        made = self.call("accounts_make_key", body={"name": "a program", "scopes": scopes})
        self.client.credentials["bearer"] = made["api_key"]
        assert self.call("accounts_me").status == 403  # which is a person's alone

    def upload(self) -> None:
        """Upload the film in one piece; each POST twice, as a client does that gets no answer."""
        wanted = {"filename": "film.mkv", "size": len(self.film), "content_type": "video/x-matroska"}
        presigned = self.twice("assets_presign", wanted)
        self.client.follow(presigned.body, self.film)
        self.asset = {"asset_id": presigned["asset_id"]}
        self.twice("assets_create_asset", {**self.asset, "filename": "film.mkv", "title": "Ducks"})
        promoted = self.twice("assets_promote", {**self.asset, "sha256": digest(self.film)})
        assert promoted["number"] == 1
        self.version = {"version_id": promoted["id"]}

    def wait(self) -> None:
        """Follow the preview by its events until it is ready, with a break."""
        stream = self.client.events("previews_preview_events", self.version)
        event = next(stream)
        stream.close()
        seen = {**self.version, "Last-Event-ID": event.id}
        told = [event, *self.client.events("previews_preview_events", seen)]
        assert {each.name for each in told} == {"preview"}
        assert told[-1].data["status"] == "ready", told[-1].data
        seen["Last-Event-ID"] = told[-1].id
        assert list(self.client.events("previews_preview_events", seen)) == []
        assert self.call("previews_preview_status", self.version)["status"] == "ready"

    def hear(self) -> None:
        """Be told of all that has happened since, by the stream and by the socket alike."""
        parameters = {"follow": False, "Last-Event-ID": "0"}
        by_stream = [event for event in self.client.events("events", parameters) if event.name == "message"]
        kinds = [event.data["type"] for event in by_stream]
        assert kinds[:2] == ["asset.created", "version.created"]
        assert kinds[-1] == "preview.ready"
        with self.client.socket("events_listen") as socket:
            token = self.client.credentials["bearer"]
            socket.send({"type": "login", "token": token, "last_event_id": "0"})
            assert socket.receive()["type"] == "hello"
            assert [socket.receive() for _ in by_stream] == [event.data for event in by_stream]
        assert self.call("events_listen").status == 426

    def find(self) -> None:
        """List, search, count, read, and read again what has not changed."""
        assert [each["id"] for each in self.call("assets_find", {"q": "duck", "limit": 1})["items"]] == [self.id]
        assert self.call("assets_find", {"q": "goose"})["items"] == []
        assert self.call("assets_facets", {"status": "ready"})["counts"]["kind"] == {"video": 1}
        assert [each["number"] for each in self.call("assets_list_versions", self.asset).body] == [1]
        read = self.call("assets_get_asset", self.asset)
        again = self.call("assets_get_asset", {**self.asset, "If-None-Match": read.headers["ETag"]})
        assert (again.status, again.body) == (304, None)

    def describe(self) -> None:
        """Change the asset, which takes the state that was read; a state that is gone is refused."""
        tag = self.call("assets_get_asset", self.asset).headers["ETag"]
        change = {"title": "Ducks in a row", "tags": ["bird"], "fields": {"takes": 3}}
        assert self.call("assets_change_asset", self.asset, change).status == 428
        changed = self.call("assets_change_asset", {**self.asset, "If-Match": tag}, change)
        assert (changed["title"], changed["tags"]) == ("Ducks in a row", ["bird"])
        assert self.call("assets_change_asset", {**self.asset, "If-Match": tag}, change).status == 412
        assert [each["id"] for each in self.call("assets_find", {"tag": ["bird"]})["items"]] == [self.id]

    def comment(self) -> None:
        """Say something, answer, resolve, and take it along to an editing program."""
        first = self.call("comments_add", self.asset, {"content": "too dark", "start_seconds": 0.5})
        self.call("comments_add", self.asset, {"content": "better?", "parent_id": first["id"]})
        comment = {"comment_id": first["id"]}
        tag = self.call("comments_get_one", comment).headers["ETag"]
        assert self.call("comments_change", {**comment, "If-Match": tag}, {"content": "dark"})["content"] == "dark"
        assert self.call("comments_resolve", comment)["resolved_at"]
        page = self.call("comments_list_comments", {**self.asset, "limit": 1})
        rest = self.call("comments_list_comments", {**self.asset, "after": page["next"]})
        assert [each["content"] for each in (*page["items"], *rest["items"])] == ["dark", "better?"]
        assert "dark" in self.call("comments_export", {**self.asset, "format": "edl"}).body

    def collect(self) -> None:
        """Put the asset into a collection, in a place, and find it there."""
        collection = {"collection_id": self.twice("collections_create", {"name": "Birds"})["id"]}
        self.call("collections_put_in", {**collection, **self.asset}, {"first": True})
        assert [each["id"] for each in self.call("collections_list_assets", collection)["items"]] == [self.id]
        self.call("collections_take_out", {**collection, **self.asset})

    def share(self) -> None:
        """Let somebody without an account look, behind a password, comment and download."""
        wanted = {**self.asset, "rights": ["comment", "download"], "password": "duck soup"}
        made = self.twice("shares_make", wanted)
        self.client.credentials["share"] = made["token"]
        assert self.call("shared_look").status == 401
        unlocked = {"Share-Pass": self.call("shared_unlock", body={"password": "duck soup"})["share_pass"]}
        assert self.call("shared_look", unlocked)["title"] == "Ducks in a row"
        assert [each["id"] for each in self.call("shared_list_assets", unlocked)["items"]] == [self.id]
        here = {**unlocked, **self.asset}
        self.call("shared_comment", here, {"content": "lovely", "name": "Eve"})
        self.play(self.call("shared_sign_preview", here, {})["url"])
        download = self.call("shared_sign_download", here, {})["url"]
        assert self.client.http.get(download).content == self.film
        assert len(self.call("shared_artwork", here)["items"]) > 2
        assert len(self.call("shared_captions_of_link", here)["items"]) == 1
        link = {"link_id": made["record"]["id"]}
        assert "downloaded" in {use["action"] for use in self.call("shares_list_uses", link)["items"]}
        self.call("shares_revoke", link)
        assert self.call("shared_look", unlocked).status == 401

    def watch(self) -> None:
        """Play the preview, look at its artwork and fetch the master, by signed URLs alone."""
        self.play(self.call("previews_sign_preview", body=self.version)["url"])
        artwork = self.call("previews_artwork", self.version)["items"]
        assert {each["kind"] for each in artwork} >= {"poster", "storyboard", "waveform"}
        for each in artwork:
            assert len(self.client.http.get(each["url"]).raise_for_status().content) == each["size"]
        [words] = self.call("previews_captions", self.version)["items"]
        assert (words["language"], words["forced"]) == ("en", False)
        assert "Rabbit season" in self.client.http.get(words["url"]).raise_for_status().text
        download = self.call("previews_sign_download", body=self.version)["url"]
        assert self.client.http.get(download).content == self.film
        part = self.client.http.get(download, headers={"range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, self.film[4:8])

    def play(self, url: str) -> None:
        """Fetch playlists, and segments by the addresses in them, as a player does (RFC 8216)."""
        media = [urljoin(url, line) for line in self.lines(url) if not line.startswith("#")]
        assert media
        lines = self.lines(media[0])
        assert lines[-1] == "#EXT-X-ENDLIST"
        [init] = [line.partition('URI="')[2].partition('"')[0] for line in lines if line.startswith("#EXT-X-MAP")]
        segment = next(line for line in lines if not line.startswith("#"))
        fetched = [self.client.http.get(urljoin(media[0], name)).raise_for_status() for name in (init, segment)]
        with av.open(io.BytesIO(b"".join(each.content for each in fetched)), "r") as container:
            assert len(list(container.decode(video=0))) > 10

    def lines(self, url: str) -> list[str]:
        """Return what stands in a playlist."""
        found = [line for line in self.client.http.get(url).raise_for_status().text.splitlines() if line]
        assert found[0] == "#EXTM3U"
        return found

    def replace(self) -> None:
        """Upload a new version in parts, with a break after the first; then let the first version play again."""
        film = padded(self.film)
        begun = self.twice("uploads_begin", {**self.asset, "filename": "film.mkv", "size": len(film)})
        upload, size = {"upload": begun["upload"]}, begun["part_size"]
        assert begun["count"] == 2
        for number in (1, 2):
            missing = [each for each in (1, 2) if each not in self.call("uploads_list_parts", body=upload)["numbers"]]
            assert missing[0] == number
            [signed] = self.call("uploads_sign", body={**upload, "numbers": missing[:1]})["parts"]
            self.client.follow(signed, film[(number - 1) * size : number * size])
        assert self.twice("uploads_complete", upload)["size"] == len(film)
        assert self.twice("assets_promote", {**self.asset, "sha256": digest(film)})["number"] == 2
        assert [each["number"] for each in self.call("assets_list_versions", self.asset).body] == [2, 1]
        duplicates = self.call("uploads_duplicates", {"sha256": digest(self.film)})
        assert [each["number"] for each in duplicates.body] == [1]
        while True:
            tag = self.call("assets_get_asset", self.asset).headers["ETag"]
            chosen = self.call("assets_choose_version", {**self.asset, "If-Match": tag}, {"number": 1})
            if chosen.status != 412:  # the new version's preview goes on meanwhile, and the asset shows how far it is
                break
        assert chosen["playing_number"] == 1

    def end(self) -> None:
        """Throw the asset away, take it back, and remove it for good."""
        self.call("trash", self.asset)
        assert self.call("assets_get_asset", self.asset).status == 404
        assert [each["id"] for each in self.call("assets_find", {"trashed": True})["items"]] == [self.id]
        assert self.twice("trash_restore", ..., self.asset)["title"] == "Ducks in a row"
        self.call("trash", self.asset)
        assert self.call("trash_purge", self.asset).status == 202
        stream = self.client.events("events", {"Last-Event-ID": "0"})
        assert any(event.data.get("type") == "asset.purged" for event in stream)
        stream.close()
        assert self.call("trash_restore", self.asset).status == 404
        assert self.call("assets_find", {"trashed": True})["items"] == []

    def twice(self, operation_id: str, body: Any, parameters: dict[str, str] | None = None) -> Answer:
        """Send a request and send it again under the same key: both answers are one."""
        keyed = {**(parameters or {}), "Idempotency-Key": uuid4().hex}
        given = {} if body is ... else {"body": body}
        first, second = (self.call(operation_id, keyed, **given) for _ in range(2))
        assert first.status < 300, first.body
        assert (second.status, second.body) == (first.status, first.body)
        assert "Idempotent-Replayed" in second.headers
        return first

    @property
    def id(self) -> str:
        """Of the asset."""
        return self.asset["asset_id"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def padded(film: bytes) -> bytes:
    """Return the same film in a larger file: with something behind it that players skip (RFC 8794, `Void`)."""
    return film + b"\xec" + (1 << 56 | PADDING).to_bytes(8, "big") + os.urandom(PADDING)


@pytest.mark.parametrize("kind", ["embedded", "distributed"])
def test_whoever_has_read_the_document_alone_can_do_everything_with_an_asset(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, figure: Callable[[str], None]
) -> None:
    clip = make_clip(tmp_path / "film.mp4", seconds=2, width=192, height=108)
    film = with_subtitles(clip, "1\n00:00:00,200 --> 00:00:01,800\nRabbit season\n").read_bytes()
    with (
        installation(kind, tmp_path, request) as api_url,
        DescribedClient(f"{api_url}/schema/openapi.json") as client,
    ):
        life = Life(client, film)
        for chapter in (
            life.log_in,
            life.upload,
            life.wait,
            life.hear,
            life.find,
            life.describe,
            life.comment,
            life.collect,
            life.watch,
            life.share,
            life.replace,
            life.end,
        ):
            chapter()
        figure(f"{len(client.used)} of {len(client.operations)} operations, all as described")
