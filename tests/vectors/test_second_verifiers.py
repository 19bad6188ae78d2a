"""A CDN can check what we sign: verifiers in JavaScript, written from the published page, agree with every vector."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner
from tests.vectors.verifiers import CDN, VECTORS, nginx_with_njs, node

RING = KeyRing.generate()
SIGNER = UrlSigner(RING)
KEY = "previews/a/été 1/index.m3u8"
FAR = utc_now() + timedelta(hours=1)


def url(key: str = KEY, **fields: Any) -> str:
    grant = Grant(**{"scope": "previews/a/", "expires_at": FAR, **fields})
    return SIGNER.url("http://cdn.test", grant, key)


def changed(text: str) -> str:
    start, token, key = text.partition("/s/")[0], text.split("/s/")[1].partition("/")[0], text.split("/s/")[1]
    return f"{start}/s/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}/{key.partition('/')[2]}"


ELSEWHERE = url(address=ip_network("192.0.2.0/24"))
"""Good for the client of the CDN function's test, 192.0.2.7."""

CASES = [
    (url(), 200),
    (SIGNER.url("http://cdn.test", Grant(scope=KEY, expires_at=FAR), KEY, carrier="query"), 200),
    (ELSEWHERE, 200),
    (url(address=ip_network("198.51.100.0/24")), 403),
    (url(expires_at=utc_now() - timedelta(seconds=10)), 403),
    (url(methods=frozenset({"PUT"})), 403),
    (url(conditions={"length": "5"}), 403),
    (url(conditions={"renew-until": "9999999999"}), 200),
    (changed(url()), 403),
    (url().replace("previews/a/%C3%A9t%C3%A9", "previews/b/%C3%A9t%C3%A9"), 403),
    (url().replace("index.m3u8", "%252e%252e/x"), 403),
    ("http://cdn.test/s/previews/a/index.m3u8", 403),
]


@pytest.fixture(scope="module")
def outcome() -> Any:
    """What the CDN function makes of the vectors and of the cases above, under Node."""
    done = subprocess.run(
        [node(), str(Path(__file__).parent / "verify_vectors.mjs"), str(CDN), str(VECTORS)],
        input=json.dumps({"keys": RING.dump(), "requests": [url for url, _ in CASES]}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_cdn_function_agrees_with_every_vector(outcome: Any) -> None:
    vectors = json.loads(VECTORS.read_text("utf-8"))
    expected = {vector["name"]: vector.get("error", "ok") for kind in ("good", "refused") for vector in vectors[kind]}
    assert outcome["outcomes"] == expected
    assert len(expected) > 40


def test_the_cdn_function_serves_what_is_granted_and_asks_the_origin_without_the_token(outcome: Any) -> None:
    assert [status for status, _ in outcome["answers"]] == [status for _, status in CASES]
    assert len(outcome["asked"]) == sum(status == 200 for _, status in CASES)
    assert outcome["preflight"][0] == 204
    assert "access-control-allow-headers" in outcome["preflight"]
    assert set(outcome["asked"]) == {"/previews/a/%C3%A9t%C3%A9%201/index.m3u8"}


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """Base URL of an nginx that runs the published configuration, with this machine's paths in it."""
    found = nginx_with_njs()
    if found is None:
        pytest.skip("nginx with its JavaScript module is not installed (Debian: nginx-light, libnginx-mod-http-js)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    objects = tmp_path / "objects"
    (objects / KEY).parent.mkdir(parents=True)
    (objects / KEY).write_text("bytes")
    (objects / "previews" / "b").mkdir()
    (objects / "previews" / "b" / "x").write_text("other")
    keys = tmp_path / "keys"
    keys.write_text(RING.dump() + "\n")
    text = (CDN / "nginx.conf").read_text()
    for old, new in (
        ("modules/ngx_http_js_module.so", found[1]),
        ("/etc/mamkit/edge_signing_key", str(keys)),
        ("/srv/mamkit/objects", str(objects)),
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("events {}", f"events {{}}\ndaemon off;\npid {tmp_path}/pid;\nuser root;"),
        ("http {", "http {\n" + "".join(
            f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"access_log off; js_path {CDN};"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "nginx.conf").write_text(text)
    command = [found[0], "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log"), "-p", str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "error.log").read_text()
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_nginx_agrees(nginx: str) -> None:
    """On the cases above, from 127.0.0.1."""
    for case, status in CASES:
        wanted = 403 if case == ELSEWHERE else status
        answer = httpx.get(case.replace("http://cdn.test", nginx))
        assert answer.status_code == wanted, (case, answer.text)
        assert answer.status_code != 200 or answer.text == "bytes"
    for path in ("/_objects/previews/b/x", "/s/" + url().split("/")[4] + "/../_objects/previews/b/x"):
        assert httpx.get(httpx.URL(nginx, raw_path=path.encode())).status_code in {403, 404}
