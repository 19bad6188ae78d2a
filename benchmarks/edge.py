"""The edge beside nginx: signed segments and playlists of the same files, one worker each, the same load.

nginx checks `secure_link` (MD5, as Debian's has it) and sends files; mamkit's edge checks its own tokens. The load
comes from wrk: 8 connections of one thread, 2 s a round (1 s with `--quick`), sides alternating, ratios of paired
rounds. On an S3 server (SeaweedFS), nginx passes on requests that are signed for it, and neither keeps anything. In the
end, 1,000 clients (200 with `--quick`) read slowly from one edge.
"""

import base64
import hashlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks._harness import QUICK_ROUNDS, ROUNDS, Row, main, median, ratio_of_rounds, rounds_of
from mamkit.clock import utc_now
from mamkit.signing import Grant, KeyRing, UrlSigner
from mamkit.storage import LocalStore
from tests.apps.edge_process import PREFIX as READ
from tests.apps.edge_process import SlowReader, live_edge
from tests.s3_servers import ACCESS_KEY, SECRET_KEY, store_on, weed_server

SEGMENT = 1 << 20  # bytes
PLAYLIST = 2048  # bytes
FILES = 96  # segments that are asked for in turn, of an edge whose own cache is off
ON_S3 = 32  # segments there
CONNECTIONS = 8
SECONDS, QUICK_SECONDS = 2, 1  # of one round
READERS, QUICK_READERS = 1000, 200
BOUND = 64 << 20  # bytes of the cache that slow readers read from
FAST = 64 << 10  # bytes that the fast client asks for
A_CLIENT = 48 << 10  # bytes of a connection itself: socket, parser, headers
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
        location /{bucket}/ {{
            proxy_pass http://{s3}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host {s3};
        }}
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
def running(command: list[str], **env: str) -> Iterator[None]:
    """Run a server until the block ends."""
    process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait_for(*ports: int) -> None:
    """Return when all ports are listened at."""
    for port in ports:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.05)


def edge(stack: ExitStack, data: Path, **settings: str) -> int:
    """Start an edge and return its port."""
    port = free_port()
    env = {"DATA_DIR": str(data), "PORT": str(port), "EDGE_SIGNING_KEY": RING.dump(), **settings}
    stack.enter_context(running([sys.executable, "-m", "mamkit_apps.cli", "edge"], **env))
    return port


def wrk(base: str, paths: list[str], folder: Path, seconds: int) -> float:
    """Return requests a second; fails if one is refused."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"{base}{paths[0]}"]
    if len(paths) > 1:
        (folder / "paths").write_text("\n".join(paths))
        (folder / "cycle.lua").write_text(CYCLE % (folder / "paths"))
        command += ["-s", str(folder / "cycle.lua")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"a request was refused:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    return float(found[1]) if found else 0.0


def first_byte(base: str, paths: list[str]) -> float:
    """Return the median time to the first byte of a body, milliseconds, of one client on one connection."""
    client = http.client.HTTPConnection(urlsplit(base).netloc)
    times = []
    for path in paths:
        start = time.perf_counter()
        client.request("GET", path)
        answer = client.getresponse()
        assert answer.status == 200, answer.status
        answer.read(1)
        times.append(time.perf_counter() - start)
        answer.read()
    client.close()
    return median(times) * 1000


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


@dataclass(frozen=True)
class Case:
    """One row: how each side is measured."""

    name: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    peer: str = "nginx, secure_link, sendfile"
    unit: str = "1/s"
    target: str = ""

    def row(self, rounds: int) -> Row:
        """Measure."""
        found = rounds_of({"ours": self.ours, "theirs": self.theirs}, rounds)
        return Row(
            name=self.name,
            ours=median(found["ours"]),
            unit=self.unit,
            peer=self.peer,
            peer_value=median(found["theirs"]),
            target=self.target,
            paired=ratio_of_rounds(found["ours"], found["theirs"]),
        )


def measure(quick: bool) -> list[Row]:
    """Return the rows."""
    nginx = shutil.which("nginx", path=PATHS)
    if nginx is None or shutil.which("wrk") is None:
        rows = [
            Row(name=name, ours=None, unit="1/s", peer="nginx and wrk are not here", peer_value=None, target=target)
            for name, target in TARGETS.items()
        ]
        return [*rows, *slow_readers(QUICK_READERS if quick else READERS)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cases = start(stack, nginx, folder, QUICK_SECONDS if quick else SECONDS)
        rows = [case.row(QUICK_ROUNDS if quick else ROUNDS) for case in cases]
    return [*rows, *slow_readers(QUICK_READERS if quick else READERS)]


TARGETS = {
    "1 MB segment, hot cache": ">= 1.0",
    "1 MB segments, from disk": ">= 0.8",
    "2 KB playlist": ">= 0.15",
    "1 MB segment, offload to nginx": ">= 0.9",
}


def start(stack: ExitStack, nginx: str, folder: Path, seconds: int) -> list[Case]:
    """Start all servers, and return what is to be measured on them."""
    data = folder / "data"
    store = LocalStore(data / "objects", durable=False)
    segments = [f"{PREFIX}720p/segment_{number:05d}.m4s" for number in range(FILES)]
    for key in segments:
        store.put(key, os.urandom(SEGMENT), content_type="video/iso.segment")
    playlist = f"{PREFIX}720p/index.m3u8"
    store.put(playlist, (b"#EXTM3U\n" + b"#" * PLAYLIST)[:PLAYLIST], content_type="application/vnd.apple.mpegurl")
    endpoint = stack.enter_context(weed_server(folder / "weed"))
    bucket = store_on(endpoint, "bench")
    for key in segments[:ON_S3]:
        bucket.put(key, os.urandom(SEGMENT), content_type="video/iso.segment")
    buckets = {f"{zone}_BUCKET": "bench" for zone in ("STAGING", "MASTERS", "PREVIEWS")}
    account = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    s3 = {"S3_ENDPOINT": endpoint, "S3_REGION": "us-east-1", "EDGE_CACHE_BYTES": "0", **buckets, **account}
    ports = {
        "hot": edge(stack, data),
        "cold": edge(stack, data, EDGE_CACHE_BYTES="0"),
        "accel": edge(stack, data, EDGE_OFFLOAD="accel"),
        "s3": edge(stack, data, **s3),
        "nginx": free_port(),
    }
    if os.geteuid() == 0:
        folder.chmod(0o755)
    text = NGINX.format(
        folder=folder,
        objects=data / "objects",
        port=ports["nginx"],
        edge=ports["accel"],
        user="user root;" if os.geteuid() == 0 else "",
        bucket="bench",
        s3=urlsplit(endpoint).netloc,
    )
    (folder / "nginx.conf").write_text(text)
    stack.enter_context(running([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)]))
    wait_for(*ports.values())
    at = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}

    def beside_files(name: str, side: str, keys: list[str]) -> Case:
        mine, other = [ours(key) for key in keys], [theirs(key) for key in keys]
        loads = (partial(wrk, at[side], mine, folder, seconds), partial(wrk, at["nginx"], other, folder, seconds))
        return Case(name, *loads, target=TARGETS[name])

    signed = [bucket.sign_get(key, expires_in=timedelta(hours=1)).url for key in segments[:ON_S3]]
    passed = [url.removeprefix(endpoint) for url in signed]
    mine = [ours(key) for key in segments[:ON_S3]]
    peer = "nginx, proxy_pass, signed by S3"
    return [
        beside_files("1 MB segment, hot cache", "hot", segments[:1]),
        beside_files("1 MB segments, from disk", "cold", segments),
        beside_files("2 KB playlist", "hot", [playlist]),
        beside_files("1 MB segment, offload to nginx", "nginx", segments[:1]),
        Case(
            "1 MB segments, from S3",
            partial(wrk, at["s3"], mine, folder, seconds),
            partial(wrk, at["nginx"], passed, folder, seconds),
            peer,
        ),
        Case(
            "first byte of such a segment",
            partial(first_byte, at["s3"], mine),
            partial(first_byte, at["nginx"], passed),
            peer,
            "ms",
        ),
    ]


def slow_readers(count: int) -> list[Row]:
    """Return what so many clients cost that each ask for one of 12 hot segments, and take a few bytes of it.

    A segment is larger than what the system buffers for a connection. The fast client asks in turns an edge that has
    these clients and one that has nobody else.
    """
    settings = {"EDGE_CACHE_BYTES": str(BOUND), "EDGE_CACHE_SECONDS": "600", "EDGE_SEND_TIMEOUT": "600"}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        busy, idle = (stack.enter_context(live_edge(Path(folder, name), **settings)) for name in ("busy", "idle"))
        names = [f"s{number}.m4s" for number in range(12)]
        for live in (busy, idle):
            for name in names:
                live.store.put(f"{READ}{name}", os.urandom(BOUND // 16 - 4096), content_type="video/iso.segment")
                first_byte(live.url, [live.path(f"{READ}{name}")])
            live.store.put(f"{READ}fast.m4s", os.urandom(FAST), content_type="video/iso.segment")
        before = busy.memory()
        for number in range(count):
            stack.enter_context(SlowReader(busy, names[number % len(names)])).take()
        grown = busy.memory() - before
        assert busy.count("streams") == count
        sides = {live: partial(first_byte, live.url, [live.path(f"{READ}fast.m4s")] * 20) for live in (busy, idle)}
        found = rounds_of(sides, ROUNDS)
    return [
        Row(
            name=f"first byte beside {count} slow readers",
            ours=median(found[busy]),
            unit="ms",
            peer="alone",
            peer_value=median(found[idle]),
            target="<= 3",
            paired=ratio_of_rounds(found[busy], found[idle]),
        ),
        Row(
            name=f"memory for {count} slow readers",
            ours=grown / 2**20,
            unit="MiB",
            peer="the cache's bound, 48 KiB a client",
            peer_value=(BOUND + count * A_CLIENT) / 2**20,
            target="<= 1",
        ),
    ]


if __name__ == "__main__":
    main("edge", measure)
