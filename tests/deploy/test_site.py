"""The nginx site as it is shipped, in front of two of each service over PostgreSQL, Redis and S3."""

import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from mamkit.catalog import upgrade
from mamkit.clock import utc_now
from mamkit.signing import Grant, UrlSigner
from mamkit_apps.demo.client import sha256_of_file, upload
from mamkit_apps.secrets import key_ring
from mamkit_apps.serving import KEEP_ALIVE
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.supervisor import SETTINGS
from tests.apps.conftest import PASSWORD
from tests.apps.test_backup import secrets_beside
from tests.apps.test_s3 import buckets
from tests.deploy.files import DEPLOY
from tests.deploy.site import PATIENCE, SEARCHED, Site, configured, has_nginx, running
from tests.media_factory import make_clip
from tests.redis_server import RedisServer
from tests.s3_servers import store_on
from tests.servers.postgres import Postgres, free_port

pytestmark = pytest.mark.skipif(not has_nginx(), reason="nginx is not installed")

VIDEO, EDGE = "video.example.com", "edge.example.com"
FILM = bytes(range(256)) * 4096  # 1 MiB
HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def settings(postgres: Postgres, redis_server: RedisServer, weed: str) -> dict[str, str]:
    """One set of settings, for every process."""
    url = postgres.new_database()
    upgrade(url)
    store = store_on(weed, "site")
    store.put("previews/a/b/720p/segment_00000.m4s", FILM, content_type="video/iso.segment")
    store.put("previews/a/b/page.html", b"<script>alert(1)</script>", content_type="text/html")
    given = {name: "site" if name.endswith("_BUCKET") else value for name, value in buckets("site", weed).items()}
    return (
        given
        | {name.upper(): value for name, value in secrets_beside(url).items()}
        | {
            "REDIS_URL": redis_server.url,
            "REGISTRATION": "open",
            "PUBLIC_URL": f"https://{VIDEO}",
            "API_URL": f"https://{VIDEO}",
            "EDGE_URL": f"https://{EDGE}",
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "EDGE_ACCESS_LOG": "-",
            "DISCORD_CLIENT_ID": "1",
            "DISCORD_CLIENT_SECRET": "discord-secret",
        }
    )


@pytest.fixture(scope="module")
def site(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        with running(tmp_path_factory.mktemp("site"), settings) as found:
            yield found


def signed(settings: dict[str, str], key: str) -> str:
    """Return the path of a signed URL of a preview's object."""
    ring = key_ring(ServiceSettings.load(edge_signing_key=settings["EDGE_SIGNING_KEY"]).secret("edge_signing_key"))
    grant = Grant(scope="previews/a/b/", expires_at=utc_now() + timedelta(minutes=5))
    return UrlSigner(ring).url("", grant, key)


@pytest.mark.parametrize("name", ["mamkit.conf", "compose.conf"])
def test_nginx_understands_the_site(name: str, tmp_path: Path) -> None:
    main = configured(tmp_path, {each: free_port() for each in ("api-1", "api-2", "edge-1", "edge-2")}, https=1, http=2)
    if name == "compose.conf":
        text = (DEPLOY / "nginx" / name).read_text("utf-8")
        text = re.sub(
            r"\b(?:api|edge)-\d|//s3\b",
            lambda found: found[0].rpartition("/")[0] + "/127.0.0.1" if "/" in found[0] else "127.0.0.1",
            text,
        )
        for file in ("fullchain.pem", "privkey.pem"):
            text = text.replace(f"/etc/mamkit/tls/{file}", str(tmp_path / file))
        (tmp_path / "site.conf").write_text(text.replace("/var/log/nginx/", f"{tmp_path}/"))
    done = subprocess.run(
        ["nginx", "-t", "-q", "-c", str(main), "-p", str(tmp_path)],
        capture_output=True, text=True, check=False, env={"PATH": SEARCHED},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_site_of_the_composition_is_the_same_site() -> None:
    theirs = (DEPLOY / "nginx" / "compose.conf").read_text().splitlines()
    ours = re.sub(r"127\.0\.0\.1:(3000|3010|8080|8090)", lambda found: {
        "3000": "api-1:3000", "3010": "api-2:3000", "8080": "edge-1:8080", "8090": "edge-2:8080"
    }[found[1]], (DEPLOY / "nginx" / "mamkit.conf").read_text()).splitlines()  # fmt: skip
    shared = ours[ours.index("") :]
    assert theirs[theirs.index("") :][: len(shared)] == shared


def test_every_answer_of_both_names_has_each_careful_header_once(site: Site, settings: dict[str, str]) -> None:
    good = signed(settings, "previews/a/b/720p/segment_00000.m4s")
    asked = [
        (VIDEO, "/healthz", 200), (VIDEO, "/api/assets", 401), (VIDEO, "/nothing", 404), (VIDEO, "/metrics", 404),
        (EDGE, "/healthz", 200), (EDGE, good, 200), (EDGE, good[:-4], 404), (EDGE, "/s/v1.x/previews/a", 403),
        (EDGE, "/", 404),
    ]  # fmt: skip
    for name, path, status in asked:
        with site.client(name) as client:
            answer = client.get(path)
        assert answer.status_code == status, (path, answer.text)
        for header, value in HEADERS.items():
            assert answer.headers.get_list(header) == [value], (path, header)
        [policy] = answer.headers.get_list("content-security-policy")
        assert "default-src 'none'" in policy
        assert not re.search(r"nginx/\d|uvicorn", answer.headers.get("server", ""))
    with site.client(VIDEO) as client:
        assert client.get("/healthz").headers.get_list("x-frame-options") == ["DENY"]
        page = client.get("/schema")
        assert "<script" not in page.text
        assert re.findall(r'(?:src|href)="([^#"]+)"', page.text) == ["/schema/style.css", "/schema/openapi.json"]
        assert client.get("/schema/style.css").headers["content-type"].startswith("text/css")


def test_a_film_goes_in_and_comes_out(site: Site, settings: dict[str, str], tmp_path: Path) -> None:
    """By the public names alone, and both workers are there to take its parts."""
    film = make_clip(tmp_path / "film.mp4", seconds=2)
    digest = sha256_of_file(film)
    with site.client(VIDEO) as video, site.client(EDGE) as edge:

        def call(method: str, path: str, **more: Any) -> Any:
            answer = video.request(method, path, **more)
            assert answer.is_success, answer.text
            return answer.json()

        tokens = call("POST", "/auth/register", json={"email": "film@example.com", "password": PASSWORD})
        video.headers["authorization"] = f"Bearer {tokens['access_token']}"
        wanted = {"filename": film.name, "size": film.stat().st_size, "sha256": digest}
        presigned = call("POST", "/api/presign", json=wanted)
        upload(film, presigned, lambda _: None)
        asset = {"asset_id": presigned["asset_id"], "filename": film.name, "title": "A film"}
        call("POST", "/api/assets", json=asset)
        version = call("POST", "/api/promote", json={"asset_id": presigned["asset_id"], "sha256": digest})["id"]
        deadline = time.monotonic() + PATIENCE
        while (state := call("GET", "/api/preview/status", params={"version_id": version}))["status"] != "ready":
            assert state["status"] != "failed", state
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        url = call("POST", "/api/sign-preview", json={"version_id": version})["url"]
        assert url.startswith(f"https://{EDGE}/s/")
        playlist = url.removeprefix(f"https://{EDGE}")
        for name in re.findall(r"^[^#\n].*", edge.get(playlist).text, re.MULTILINE):
            inner = urljoin(playlist, name)
            segments = re.findall(r"^[^#\n].*", edge.get(inner).text, re.MULTILINE)
            assert segments
            assert all(edge.get(urljoin(inner, segment)).is_success for segment in segments)
    for worker in ("worker-1", "worker-2"):
        assert httpx.get(f"http://127.0.0.1:{site.ports[worker]}/healthz", timeout=10).is_success


def test_idle_connections_end_at_nginx_first() -> None:
    """Else a request would now and then meet one that is just closed; nginx keeps an upstream's for 60 s by default."""
    assert KEEP_ALIVE > 60
    for name in ("mamkit.conf", "compose.conf"):
        assert "keepalive_timeout" not in (DEPLOY / "nginx" / name).read_text("utf-8")


def test_a_page_that_somebody_uploaded_runs_nothing(site: Site, settings: dict[str, str]) -> None:
    with site.client(EDGE) as client:
        answer = client.get(signed(settings, "previews/a/b/page.html"))
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]


def shake_hands(site: Site, context: ssl.SSLContext, name: str) -> None:
    with httpx.Client(verify=context) as client:
        client.get(f"https://127.0.0.1:{site.https}/healthz", extensions={"sni_hostname": name})


def test_only_new_tls_and_only_our_names(site: Site) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(site.certificate)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    for context, name in ((old, VIDEO), (ssl.create_default_context(cafile=site.certificate), "other.example.com")):
        with pytest.raises(httpx.ConnectError):
            shake_hands(site, context, name)
    new = ssl.create_default_context(cafile=site.certificate)
    new.set_ciphers("AES128-SHA")  # without forward secrecy
    new.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.ConnectError):
        shake_hands(site, new, VIDEO)
    shake_hands(site, ssl.create_default_context(cafile=site.certificate), VIDEO)
    moved = httpx.get(f"http://127.0.0.1:{site.http}/auth/me?x=1", headers={"host": VIDEO})
    assert (moved.status_code, moved.headers["location"]) == (301, f"https://{VIDEO}/auth/me?x=1")


def test_cookies_are_for_https_alone_and_for_no_script(site: Site) -> None:
    with site.client(VIDEO) as client:
        answer = client.post("/auth/providers/discord/start", json={"return_to": "/"})
        assert answer.is_success, answer.text
    [cookie] = answer.headers.get_list("set-cookie")
    flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
    assert {"secure", "httponly"} <= flags
    assert any(flag.startswith("samesite=") for flag in flags)


def test_a_person_logs_in_and_any_api_knows_them(site: Site) -> None:
    with site.client(VIDEO) as client:
        tokens = client.post("/auth/register", json={"email": "ada@example.com", "password": PASSWORD}).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert {client.get("/auth/me", headers=bearer).status_code for _ in range(6)} == {200}
        presigned = client.post(
            "/api/presign", json={"filename": "a.mp4", "content_type": "video/mp4", "size": 10}, headers=bearer
        )
        assert presigned.is_success, presigned.text
        assert client.post("/api/preview/callback", json={}).status_code == 404
    upstreams = set(re.findall(r'"upstream":"127\.0\.0\.1:(\d+)"', site.log))
    assert {str(site.ports["api-1"]), str(site.ports["api-2"])} <= upstreams


def test_segments_come_by_one_edge_each_with_ranges_and_no_token_in_a_log(site: Site, settings: dict[str, str]) -> None:
    key = "previews/a/b/720p/segment_00000.m4s"
    path, other = signed(settings, key), signed(settings, key)
    token, before = path.split("/")[2], len(site.log.splitlines())
    with site.client(EDGE) as client:
        assert client.get(path).content == FILM
        assert client.get(other).content == FILM
        part = client.get(path, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, FILM[10:20])
        changed = path.replace(token, token[:-2] + ("AA" if token[-2:] != "AA" else "BB"))
        assert client.get(changed).status_code == 403
        assert client.get(path, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 200
    lines = [line for line in site.log.splitlines()[before:] if "/s/-/previews/a/b/720p" in line]
    assert len(lines) == 5
    assert len(set(re.findall(r'"upstream":"([^"]+)"', "\n".join(lines)))) == 1
    everything = site.log + "".join(path.read_text() for path in site.folder.glob("*.log"))
    assert token not in everything
    assert other.split("/")[2] not in everything
    assert "203.0.113.9" not in everything  # what a client says of its own address counts for nothing


def test_one_api_and_one_edge_suffice(site: Site, settings: dict[str, str]) -> None:
    """The last test: two of the processes are killed, and nobody notices."""
    for name in ("api-1", "edge-1"):
        site.processes[name].kill()
        site.processes[name].wait()
    path = signed(settings, "previews/a/b/720p/segment_00000.m4s")
    with site.client(VIDEO) as video, site.client(EDGE) as edge:
        assert {video.get("/healthz").status_code for _ in range(8)} == {200}
        assert {edge.get(path).status_code for _ in range(8)} == {200}
