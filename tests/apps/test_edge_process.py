"""The edge as a process: files sent by the operating system, slow clients, limits, and what is written down."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.protocol import EdgeProtocol
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.serving import listen
from tests.apps.edge_process import PREFIX, LiveEdge, SlowReader, comes_true, live_edge

SEGMENT = os.urandom(1 << 20)
KEY = f"{PREFIX}720p/segment_00000.m4s"
SLOW_CLIENTS = 'outcomes_total{outcome="slow client"}'
SLOW = int(os.environ.get("MAMKIT_SLOW_READERS", "200"))
"""How many clients read slowly at once; the full round has 1000."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEdge]:
    """One edge for all tests but the last, since it takes a second to start; it keeps nothing in memory."""
    folder = tmp_path_factory.mktemp("edge")
    with live_edge(
        folder / "data",
        EDGE_ACCESS_LOG=str(folder / "access.log"),
        TRUSTED_PROXIES="127.0.0.0/8",
        EDGE_CACHE_BYTES="0",
        EDGE_SEND_TIMEOUT="1",
        EDGE_MIN_RATE="10000000",
        EDGE_STREAMS_PER_CLIENT="2",
    ) as edge:
        edge.store.put(KEY, SEGMENT, content_type="video/iso.segment")
        edge.store.put(f"{PREFIX}big.mp4", (SEGMENT for _ in range(16)), content_type="video/mp4")
        yield edge


def test_a_file_is_sent_whole_and_in_ranges_on_one_connection(live: LiveEdge) -> None:
    with httpx.Client(base_url=live.url) as client:
        for _ in range(3):
            whole = client.get(live.path(KEY))
            assert (whole.status_code, whole.content) == (200, SEGMENT)
            part = client.get(live.path(KEY), headers={"range": "bytes=1000-600000"})
            assert (part.status_code, part.content) == (206, SEGMENT[1000:600001])
            assert part.headers["content-range"] == f"bytes 1000-600000/{len(SEGMENT)}"
        head = client.head(live.path(KEY))
        assert (head.headers["content-length"], head.content) == (str(len(SEGMENT)), b"")
        unchanged = client.get(live.path(KEY), headers={"if-none-match": whole.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        several = client.get(live.path(KEY), headers={"range": "bytes=0-9, 100-199, -5"})
        assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
        assert len(several.content) == int(several.headers["content-length"])
        for run in (SEGMENT[:10], SEGMENT[100:200], SEGMENT[-5:]):
            assert b"\r\n\r\n" + run + b"\r\n--" in several.content
        closing = client.get(live.path(KEY), headers={"connection": "close"})
        assert (closing.content, closing.headers["connection"]) == (SEGMENT, "close")


def test_pipelined_requests_are_answered_in_order(live: LiveEdge) -> None:
    request = f"GET {live.path(KEY)} HTTP/1.1\r\nhost: x\r\nrange: bytes=%d-%d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", live.port)) as client:
        client.sendall("".join(request % (at, at + 99_999) for at in (0, 100_000, 200_000)).encode())
        received = b""
        while received.count(b"HTTP/1.1 206") < 3 or len(received) < 300_000:
            received += client.recv(1 << 20)
        for at in (0, 100_000, 200_000):
            assert SEGMENT[at : at + 100_000] in received


def test_a_request_that_comes_while_the_process_stands_still_is_answered(data_dir: Path) -> None:
    """The timer of idle connections is over when it goes on, and the request is there already."""
    app = create_app(EdgeSettings.load(data_dir=data_dir))
    standing_still = threading.Event()

    class Slow(EdgeProtocol):
        def data_received(self, data: bytes) -> None:
            if b"/slow" in data:
                standing_still.set()
                time.sleep(1.5)
            super().data_received(data)

    protocol = partial(Slow, service=app.state.edge)
    server = uvicorn.Server(
        uvicorn.Config(app, http=protocol, loop="uvloop", timeout_keep_alive=1, log_level="warning")  # type: ignore[arg-type]
    )
    ask = b"GET /healthz HTTP/1.1\r\nhost: edge\r\n\r\n"
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        address = listener.getsockname()
        with socket.create_connection(address, timeout=60) as idle, socket.create_connection(address) as other:
            idle.sendall(ask)
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            other.sendall(ask.replace(b"/healthz", b"/slow"))
            assert standing_still.wait(60)
            idle.sendall(ask)
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        server.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


def test_a_client_that_takes_nothing_is_cut_off(live: LiveEdge) -> None:
    slow = live.count(SLOW_CLIENTS)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", live.port))
        client.sendall(f"GET {live.path(PREFIX + 'big.mp4')} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert comes_true(20, lambda: live.count(SLOW_CLIENTS) == slow + 1)
        client.settimeout(10)
        received = 0
        with suppress(ConnectionResetError):
            while block := client.recv(1 << 20):
                received += len(block)
        assert received < 16 * len(SEGMENT)


def test_an_upload_that_stalls_is_cut_off_and_leaves_nothing(live: LiveEdge) -> None:
    from datetime import timedelta

    from mamkit.storage import Expected
    from mamkit_apps.zones import EdgeSigner

    key = "uploads/u/a/original.mp4"
    request = EdgeSigner("", live.signer).sign(
        "PUT", key, content_type="video/mp4", expected=Expected(size=100), expires_in=timedelta(minutes=5)
    )
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
        head = f"PUT {request.url} HTTP/1.1\r\nhost: x\r\ncontent-type: video/mp4\r\ncontent-length: 100\r\n\r\nabc"
        client.sendall(head.encode())
        with suppress(ConnectionResetError):
            assert client.recv(100) == b""
    assert comes_true(5, lambda: not list(live.store.list("uploads/")))


def test_the_client_is_whom_the_trusted_proxy_has_seen_and_the_log_holds_no_token(live: LiveEdge) -> None:
    path, log = live.path(KEY), live.data_dir.parent / "access.log"
    httpx.get(f"{live.url}{path}", headers={"x-forwarded-for": "6.6.6.6, 192.0.2.7, 127.0.0.9"})
    assert comes_true(5, lambda: "192.0.2.7" in log.read_text())
    text = log.read_text()
    [line] = [json.loads(line) for line in text.splitlines() if "192.0.2.7" in line]
    assert (line["key"], line["status"], line["sent"]) == (KEY, 200, len(SEGMENT))
    assert len(line["token_id"]) == 16
    assert path.split("/")[2][:20] not in text


def test_a_client_has_so_many_answers_at_once_and_others_are_not_concerned(live: LiveEdge) -> None:
    with httpx.Client(base_url=live.url) as client, SlowReader(live, "big.mp4"), SlowReader(live, "big.mp4"):
        # They come from 127.0.0.1 as this request does, unless a proxy says otherwise.
        assert comes_true(5, lambda: live.count("streams") == 2)
        refused = client.get(live.path(KEY))
        assert (refused.status_code, refused.json()["code"]) == (429, "apps.limit_reached")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get(live.path(KEY), headers={"x-forwarded-for": "192.0.2.8"}).status_code == 200


def test_metrics_are_what_prometheus_reads(live: LiveEdge) -> None:
    httpx.get(live.url + live.path(KEY))
    httpx.get(live.url + "/s/v1.x.y.z/previews/x")
    text = httpx.get(f"{live.url}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    requests = {
        tuple(sorted(sample.labels.items())): sample.value for sample in families["mamkit_edge_requests"].samples
    }
    assert requests[(("method", "GET"), ("status", "200"))] >= 1
    assert {"code": "signing.unknown_key"} in [s.labels for s in families["mamkit_edge_refusals"].samples if s.value]
    buckets = [s for s in families["mamkit_edge_first_byte_seconds"].samples if s.name.endswith("_bucket")]
    assert [s.value for s in buckets] == sorted(s.value for s in buckets)
    assert buckets[-1].labels == {"le": "+Inf"}


@pytest.mark.parametrize("local", ["file", "memory"])
def test_slow_readers_take_the_bound_and_no_more_and_a_fast_client_is_served(
    data_dir: Path, local: str, figure: Callable[[str], None]
) -> None:
    """A segment is larger than what the system buffers of it, and all of those from files are more than the bound."""
    bound = 64 << 20
    segment = os.urandom(bound // 16 - 4096)  # about the largest that is held
    cache = {"EDGE_CACHE_BYTES": str(bound), "EDGE_CACHE_SECONDS": "600"}
    with live_edge(data_dir, EDGE_SEND_TIMEOUT="600", **cache) as live:
        names = [f"s{number}.m4s" for number in range(8 if local == "memory" else 20)]
        for name in names:
            live.store.put(f"{PREFIX}{name}", segment, content_type="video/iso.segment")
            if local == "memory":
                httpx.get(live.url + live.path(f"{PREFIX}{name}"))
        live.store.put(KEY, SEGMENT[:2000], content_type="video/iso.segment")
        unloaded = first_byte(live)
        idle = live.memory()
        readers = [SlowReader(live, names[number % len(names)]) for number in range(SLOW)]
        try:
            for reader in readers:
                assert reader.take() > 0
            assert live.count("streams") == SLOW
            grown = live.memory() - idle
            loaded = first_byte(live)
        finally:
            for reader in readers:
                reader.close()
        times = f"{unloaded * 1000:.2f} then {loaded * 1000:.2f} ms"
        figure(f"{SLOW} slow readers: memory +{grown / 2**20:.1f} MiB, first byte {times}")
        # A connection itself takes some 30 KiB: its socket, parser, task and headers; threads and malloc the rest.
        assert grown < bound + SLOW * 48 * 1024 + (8 << 20)
        assert httpx.get(live.url + live.path(KEY)).content == SEGMENT[:2000]


def first_byte(live: LiveEdge) -> float:
    """Return the median time to the first byte of a small segment, seconds."""
    times = []
    with httpx.Client(base_url=live.url) as client:
        for _ in range(21):
            start = time.perf_counter()
            with client.stream("GET", live.path(KEY)) as answer:
                next(answer.iter_raw())
            times.append(time.perf_counter() - start)
    return sorted(times)[10]


def test_many_clients_that_leave_in_mid_answer_leave_nothing_open(live: LiveEdge) -> None:

    def leave() -> None:
        for _ in range(20):
            with SlowReader(live, "big.mp4") as reader:
                reader.take()

    threads = [threading.Thread(target=leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert comes_true(10, lambda: live.count("streams") == 0)
    assert httpx.get(live.url + live.path(KEY)).content == SEGMENT
