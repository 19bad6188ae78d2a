"""The edge beside nginx: signed segments and playlists of the same files, one worker each, the same load.

nginx checks `secure_link` (MD5, as Debian's has it) and sends files; mamkit's edge checks its own tokens. The load
comes from wrk: 8 connections of one thread, 2 s a round, sides alternating, ratios of paired rounds.
"""

import base64
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks._harness import QUICK_ROUNDS, ROUNDS, Row, main, median, rounds_of
from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner
from mamkit.storage import LocalStore

SEGMENT = 1 << 20  # bytes
PLAYLIST = 2048  # bytes
FILES = 96  # segments that are asked for in turn, of an edge whose own cache is off
CONNECTIONS = 8
SECONDS = 2  # of one round
PREFIX = "previews/film/v1/"
PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log crit; {user}
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; types {{ video/iso.segment m4s; }}
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream edge {{ server 127.0.0.1:{edge}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location /secured/ {{
            secure_link $arg_md5,$arg_expires; secure_link_md5 "$secure_link_expires$uri secret";
            if ($secure_link = "") {{ return 403; }}
            if ($secure_link = "0") {{ return 410; }}
            alias {objects}/;
        }}
        location /s/ {{ proxy_pass http://edge; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /_objects/ {{ internal; alias {objects}/; }}
    }}
}}
"""
CYCLE = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local turn = 0
request = function() turn = turn %% #paths + 1; return wrk.format("GET", paths[turn]) end
"""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, **env: str) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL)
    try:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def edge(stack: ExitStack, data: Path, **settings: str) -> int:
    """Start an edge and return its port."""
    port = free_port()
    env = {"DATA_DIR": str(data), "PORT": str(port), "EDGE_SIGNING_KEY": RING.dump(), **settings}
    stack.enter_context(running([sys.executable, "-m", "mamkit_apps.cli", "edge"], port, **env))
    return port


def wrk(base: str, paths: list[str], folder: Path) -> float:
    """Return requests a second; fails if one is refused."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", f"{base}{paths[0]}"]
    if len(paths) > 1:
        (folder / "paths").write_text("\n".join(paths))
        (folder / "cycle.lua").write_text(CYCLE % (folder / "paths"))
        command += ["-s", str(folder / "cycle.lua")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"a request was refused:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    return float(found[1]) if found else 0.0


RING = KeyRing.generate()
EXPIRY = utc_now() + timedelta(hours=1)
TOKEN = UrlSigner(RING).sign(Grant(scope=PREFIX, expires_at=EXPIRY))


def ours(key: str) -> str:
    """Return our signed path."""
    return f"/s/{TOKEN}/{key}"


def theirs(key: str) -> str:
    """Return nginx's signed path."""
    expires = int(EXPIRY.timestamp())
    digest = hashlib.md5(f"{expires}/secured/{key} secret".encode(), usedforsecurity=False).digest()
    return f"/secured/{key}?md5={base64.urlsafe_b64encode(digest).decode().rstrip('=')}&expires={expires}"


TARGETS = {
    "1 MB segment, hot cache": 1.0,
    "1 MB segments, from disk": 0.8,
    "2 KB playlist": 0.15,
    "1 MB segment, offload to nginx": 0.9,
}
PEER = "nginx, secure_link, sendfile"


def measure(rounds: int) -> list[Row]:
    """Return the rows."""
    nginx = shutil.which("nginx", path=PATHS)
    if nginx is None or shutil.which("wrk") is None:
        absent = "nginx and wrk are not here"
        return [
            Row(name=name, ours=None, unit="1/s", peer=absent, peer_value=None, target=f">= {target}")
            for name, target in TARGETS.items()
        ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = folder / "data"
        store = LocalStore(data / "objects", durable=False)
        segments = [f"{PREFIX}720p/segment_{number:05d}.m4s" for number in range(FILES)]
        for key in segments:
            store.put(key, os.urandom(SEGMENT), content_type="video/iso.segment")
        playlist = f"{PREFIX}720p/index.m3u8"
        store.put(playlist, (b"#EXTM3U\n" + b"#" * PLAYLIST)[:PLAYLIST], content_type="application/vnd.apple.mpegurl")
        hot = edge(stack, data)
        cold = edge(stack, data, EDGE_CACHE_BYTES="0")
        accel = edge(stack, data, EDGE_OFFLOAD="accel")
        port = free_port()
        if os.geteuid() == 0:
            folder.chmod(0o755)
        user = "user root;" if os.geteuid() == 0 else ""
        text = NGINX.format(folder=folder, objects=data / "objects", port=port, edge=accel, user=user)
        (folder / "nginx.conf").write_text(text)
        stack.enter_context(running([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)], port))
        base = f"http://127.0.0.1:{port}"
        cases = {
            "1 MB segment, hot cache": (hot, segments[:1]),
            "1 MB segments, from disk": (cold, segments),
            "2 KB playlist": (hot, [playlist]),
            "1 MB segment, offload to nginx": (port, segments[:1]),
        }
        rows = []
        for name, (mine, keys) in cases.items():
            found = rounds_of(
                {
                    "ours": partial(wrk, f"http://127.0.0.1:{mine}", [ours(key) for key in keys], folder),
                    "nginx": partial(wrk, base, [theirs(key) for key in keys], folder),
                },
                rounds,
            )
            rows.append(
                Row(
                    name=name,
                    ours=median(found["ours"]),
                    unit="1/s",
                    peer=PEER,
                    peer_value=median(found["nginx"]),
                    target=f">= {TARGETS[name]}",
                    paired=median(a / b for a, b in zip(found["ours"], found["nginx"], strict=True)),
                )
            )
        return rows


if __name__ == "__main__":
    main("edge", lambda quick: measure(QUICK_ROUNDS if quick else ROUNDS))
