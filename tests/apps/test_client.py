"""`mamkit.client` and the commands that use it, against a real API, edge and worker."""

import asyncio
import hashlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from mamkit.client import ApiError, AsyncClient, Client, UploadState, Version
from tests.apps.conftest import PASSWORD
from tests.apps.test_demo import MAMKIT, run
from tests.apps.test_up import up
from tests.media_factory import make_clip
from tests.servers.media_host import file, media_host

EMAIL = "ada@example.com"


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGISTRATION", "open")
        patch.setenv("IMPORT_NETWORKS", "127.0.0.2/32")
        with up(tmp_path_factory.mktemp("up")) as (_, url):
            httpx.post(f"{url}/auth/register", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
            yield url


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    with Client(api_url) as client:
        client.log_in(EMAIL, PASSWORD)
        yield client


def large(folder: Path, size: int = 20 << 20) -> Path:
    """Make a file of several parts."""
    path = folder / "large.mp4"
    path.write_bytes(os.urandom(1 << 20) * (size >> 20) + b"end")
    return path


def test_a_film_is_uploaded_followed_listed_and_played(client: Client, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=2, width=192, height=108)
    told: list[tuple[int, int]] = []
    version = client.upload(film, title="Holiday", progress=lambda sent, size: told.append((sent, size)))
    size = film.stat().st_size
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert (version.size, version.number) == (size, 1)
    assert client.asset(version.asset_id).title == "Holiday"
    assert [each.id for each in client.versions(version.asset_id)] == [version.id]
    assert version.asset_id in [each.id for each in client.assets(mine=True, page_size=1)]
    assert client.wait(version.id).status == "ready"
    assert httpx.get(client.playback_url(version.id, lifetime_seconds=60).url).text.startswith("#EXTM3U")
    assert client.me().email == EMAIL


class BrokenOffError(Exception):
    pass


def test_a_preview_is_signed_for_one_address_or_browser_and_shows_its_artwork(
    client: Client, api_url: str, tmp_path: Path
) -> None:
    version = client.upload(make_clip(tmp_path / "film.mp4", seconds=2, width=192, height=108))
    assert client.wait(version.id).status == "ready"
    headers = client._credentials.header()

    def sign(**more: object) -> httpx.Response:
        body = {"version_id": str(version.id), **more}
        return httpx.post(f"{api_url}/api/sign-preview", json=body, headers=headers)

    bound = sign(bind_address=True).json()["url"]
    assert httpx.get(bound).text.startswith("#EXTM3U")
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(transport=elsewhere) as stranger:
        assert stranger.get(bound).status_code == 403
    answer = sign(carrier="cookie", lifetime_seconds=60)
    url, cookie = answer.json()["url"], answer.headers["set-cookie"]
    assert "Max-Age=60" in cookie or "Max-Age=59" in cookie
    assert "HttpOnly" in cookie
    assert httpx.get(url).status_code == 403
    assert httpx.get(url, headers={"cookie": cookie.partition(";")[0]}).text.startswith("#EXTM3U")
    params = {"version_id": str(version.id)}
    shown = httpx.get(f"{api_url}/api/preview/artwork", params=params, headers=headers).json()["items"]
    kinds = {item["kind"]: item for item in shown}
    assert set(kinds) >= {"poster", "storyboard"}
    for item in shown:
        found = httpx.get(item["url"])
        assert (found.status_code, len(found.content)) == (200, item["size"])
    assert httpx.get(f"{api_url}/api/preview/artwork", params=params).status_code == 401


def test_an_upload_that_was_broken_off_is_taken_up_where_it_stopped(client: Client, tmp_path: Path) -> None:
    """The second try is the asynchronous client's: both keep the same state."""
    (small := tmp_path / "small.mp4").write_bytes(b"small")
    first = client.upload(small, title="A film")
    path, state = large(tmp_path), tmp_path / "state"
    size = path.stat().st_size

    def break_off(sent: int, _: int) -> None:
        if sent > 9 << 20:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        client.upload(path, asset_id=first.asset_id, state=state, progress=break_off)
    kept = UploadState.load(state)
    assert kept is not None
    assert state.stat().st_mode & 0o777 == 0o600
    assert kept.upload not in repr(kept)
    told: list[int] = []

    async def go_on() -> Version:
        async with AsyncClient(str(client._credentials.base_url)) as again:
            await again.log_in(EMAIL, PASSWORD)
            return await again.upload(
                path, asset_id=first.asset_id, state=state, progress=lambda sent, _: told.append(sent)
            )

    version = asyncio.run(go_on())
    assert told[1] > 0, "what is there is not sent again"
    assert told[-1] == size
    assert (version.number, version.asset_id, version.size) == (2, first.asset_id, size)
    assert version.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not state.exists()


def test_the_state_of_another_upload_is_not_used(client: Client, tmp_path: Path) -> None:
    (small := tmp_path / "small.mp4").write_bytes(b"small")
    asset = client.upload(small).asset_id
    state = tmp_path / "state"
    digest = hashlib.sha256(b"small").hexdigest()
    for upload, sha256 in (("mks.made.up", digest), ("x", "0" * 64)):
        UploadState(upload=upload, asset_id=str(asset), sha256=sha256, size=5).save(state)
        assert client.upload(small, asset_id=asset, state=state).number == 1, "the same bytes are the same version"


def test_what_the_api_says_is_what_the_error_says(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.asset(uuid4())
    assert (caught.value.status, caught.value.problem) == (404, "catalog.asset_not_found")
    assert caught.value.request_id


def test_the_commands_upload_list_and_sign(client: Client, api_url: str, tmp_path: Path) -> None:
    made = httpx.post(
        f"{api_url}/auth/api-keys",
        json={"name": "cli", "scopes": ["asset.create", "asset.read", "asset.update"]},
        headers=client._credentials.header(),
    ).json()
    film = make_clip(tmp_path / "film.mp4", seconds=2, width=208, height=108)  # as no other test has uploaded
    more: dict[str, Any] = {
        "env": os.environ | {"API_URL": api_url, "MAMKIT_TOKEN": made["api_key"], "HOME": str(tmp_path)}
    }
    done = run("upload", "--title", "By hand", "--wait", film.name, cwd=tmp_path, **more)
    assert done.returncode == 0, done.stderr
    asset, version, name = done.stdout.split()
    assert name == "film.mp4"
    listed = run("ls", cwd=tmp_path, **more).stdout
    assert f"{asset} " in listed
    assert "By hand" in listed
    [line] = run("ls", asset, cwd=tmp_path, **more).stdout.splitlines()
    assert line.startswith(f"{version} v1 ")
    assert line.endswith(" ready")
    assert run("wait", version, cwd=tmp_path, **more).returncode == 0
    place, bearer = f"{api_url}/api/assets/{asset}", client._credentials.header()
    title = {"title": "\x1b[2J\x1b]0;owned\x07By\n\u202ehand\x9b1A"}
    tag = httpx.get(place, headers=bearer).headers["etag"]
    httpx.patch(place, json=title, headers=bearer | {"if-match": tag}).raise_for_status()
    attacked = [line for line in run("ls", cwd=tmp_path, **more).stdout.split("\n") if asset in line]
    assert [line.isprintable() for line in attacked] == [True], "a title is one line, and commands no terminal"
    url = run("open", "--print", asset, cwd=tmp_path, **more).stdout.strip()
    assert httpx.get(url).text.startswith("#EXTM3U")
    again = run("upload", "--skip-known", film.name, cwd=tmp_path, **more)
    assert again.stdout == done.stdout, "the bytes are there already"
    refused = run("ls", cwd=tmp_path, env={**more["env"], "MAMKIT_TOKEN": "mka1_made_up"})
    assert refused.returncode == 1
    assert "401" in refused.stderr
    assert "made_up" not in refused.stderr


def test_a_terminal_shows_how_far_a_preview_is_and_ctrl_c_says_how_to_ask_again(
    client: Client, api_url: str, tmp_path: Path
) -> None:
    film = make_clip(tmp_path / "film.mp4", seconds=12, width=320, height=180)
    screen, terminal = pty.openpty()
    env = os.environ | {"API_URL": api_url, "MAMKIT_TOKEN": client._credentials._token, "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [*MAMKIT, "upload", "--wait", film.name], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while b"its preview" not in shown:
        shown += os.read(screen, 4096)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # EIO: the other end is closed
        while more := os.read(screen, 4096):
            shown += more
    os.close(screen)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    [said] = [line for line in shown.decode().splitlines() if "to go on waiting" in line]
    version = out.split()[1].decode()
    assert said.endswith(f"mamkit wait {version}")
    assert client.wait(UUID(version)).status == "ready"


def test_a_url_is_imported_by_both_clients_and_by_the_command(client: Client, api_url: str, tmp_path: Path) -> None:
    body = b"\x00\x00\x00\x18ftypisom" + os.urandom(100_000)
    with media_host() as host:
        url = host.put("/film.mp4", file(body))
        missing = host.url + "/missing.mp4"
        told: list[tuple[int, int]] = []
        done = client.wait_for_import(client.import_url(url).id, progress=lambda *each: told.append(each))
        assert (done.state, done.received, done.duplicate) == ("done", len(body), False)
        assert told[-1] == (len(body), len(body))
        assert done.asset_id is not None
        [version] = client.versions(done.asset_id)
        assert (version.id, version.sha256) == (done.version_id, hashlib.sha256(body).hexdigest())

        async def alike() -> None:
            async with AsyncClient(api_url) as other:
                await other.log_in(EMAIL, PASSWORD)
                known = await other.import_url(url, skip_known=True)
                assert (await other.wait_for_import(known.id)).duplicate
                failed = await other.wait_for_import((await other.import_url(missing)).id)
                assert (failed.state, failed.failure_code) == ("failed", "apps.import_refused")
                with pytest.raises(ApiError):
                    await other.cancel_import(failed.id)

        asyncio.run(alike())
        made = httpx.post(
            f"{api_url}/auth/api-keys",
            json={"name": "import", "scopes": ["asset.create", "asset.read", "asset.update"]},
            headers=client._credentials.header(),
        ).json()
        more: dict[str, Any] = {"env": os.environ | {"API_URL": api_url, "MAMKIT_TOKEN": made["api_key"]}}
        command = run("import", "--skip-known", "-", cwd=tmp_path, input=f"{url}\n{missing}\n", **more)
        assert command.stdout == f"{done.asset_id} {done.version_id}\n", command.stderr
        assert command.returncode == 1
        assert command.stderr.splitlines()[-2:] == [
            "mamkit: URL 2: its host answered 404",
            "Error: 1 of 2 were not imported",
        ]
        detached = run("import", "--detach", url, cwd=tmp_path, **more)
        assert client.get_import(UUID(detached.stdout.strip())).state in {"waiting", "running", "storing", "done"}
