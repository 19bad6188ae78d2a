"""The edge behind nginx, in the configuration that the guide gives: the edge checks, nginx sends."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.apps.edge_process import PREFIX, LiveEdge, comes_true, live_edge

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "sign-with-a-cdn.md"
SEGMENT, PLAYLIST = f"{PREFIX}720p/segment 1.m4s", f"{PREFIX}index.m3u8"
BYTES = os.urandom(100_000)
CONFIGURATION = """
daemon off; pid {folder}/pid; {user} error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    {published}
}}
"""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, LiveEdge]]:
    """Base URL of nginx, and the edge behind it."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if nginx is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with live_edge(folder / "data", EDGE_OFFLOAD="accel", TRUSTED_PROXIES="127.0.0.1") as live:
        live.store.put(SEGMENT, BYTES, content_type="video/iso.segment")
        live.store.put(PLAYLIST, b"#EXTM3U\n" * 100, content_type="application/vnd.apple.mpegurl")
        published = re.search(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
        assert published is not None
        text = published[1]
        for old, new in (
            ("127.0.0.1:8080", f"127.0.0.1:{live.port}"),
            ("/srv/mamkit/objects", str(live.data_dir / "objects")),
            ("server {\n", f"server {{\n    listen 127.0.0.1:{port};\n"),
        ):
            assert old in text
            text = text.replace(old, new)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, published=text, user=user))
        command = [nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-p", str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            with httpx.Client() as client:
                url = f"http://127.0.0.1:{port}"
                assert comes_true(20, lambda: answers(client, url)), (folder / "error.log").read_text()
            yield url, live
        finally:
            process.terminate()
            process.wait()


def answers(client: httpx.Client, url: str) -> bool:
    """Return whether a server is there."""
    try:
        client.get(url)
    except httpx.TransportError:
        return False
    return True


def test_nginx_sends_a_segment_with_what_a_player_needs(behind: tuple[str, LiveEdge]) -> None:
    url, live = behind
    whole = httpx.get(url + live.path(SEGMENT), headers={"origin": "https://player.example"})
    assert (whole.status_code, whole.content) == (200, BYTES)
    assert whole.headers["content-type"] == "video/iso.segment"
    assert whole.headers["access-control-allow-origin"] == "*"
    assert whole.headers["cache-control"].startswith("private, max-age=")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "x-accel-redirect" not in whole.headers
    part = httpx.get(url + live.path(SEGMENT), headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, BYTES[10:20])
    assert live.count('outcomes_total{outcome="accel"}') == 2


def test_nginx_passes_on_what_the_edge_says_itself(behind: tuple[str, LiveEdge]) -> None:
    url, live = behind
    packed = httpx.get(url + live.path(PLAYLIST))
    assert (packed.text, packed.headers["content-encoding"]) == ("#EXTM3U\n" * 100, "gzip")
    for path, status in (
        (live.path(SEGMENT, seconds=-10), 403),
        (live.path(f"{PREFIX}missing.m4s"), 404),
        (f"/_objects/{SEGMENT}", 404),
    ):
        assert httpx.get(url + path).status_code == status, path
