"""Answers that are known without waiting: the same as the application's; and a process that is spoken to in bytes."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import uvicorn

from mamkit.clock import utc_now
from mamkit.signing import Grant
from mamkit_apps.edge import protocol
from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.request import Request
from mamkit_apps.edge.service import EdgeService
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.zones import open_zones, url_signer
from tests.apps.edge_process import PREFIX, LiveEdge, SlowReader, comes_true, live_edge
from tests.apps.edge_request import Answer, ask

PLAYLIST, SEGMENT = f"{PREFIX}index.m3u8", f"{PREFIX}720p/segment_00000.m4s"
LARGE = f"{PREFIX}2160p/segment_00000.m4s"
LINES = b"#EXTM3U\n" + b"#EXTINF:6,\nsegment.m4s\n" * 100 + b"#EXT-X-ENDLIST\n"
BYTES = os.urandom(1 << 20)
REQUESTS = [
    ("GET", PLAYLIST, {}),
    ("HEAD", PLAYLIST, {}),
    ("GET", PLAYLIST, {"accept-encoding": "gzip"}),
    ("GET", PLAYLIST, {"range": "bytes=0-6"}),
    ("GET", PLAYLIST, {"range": "bytes=9999999-"}),
    ("GET", PLAYLIST, {"if-none-match": "*"}),
    ("GET", PLAYLIST, {"origin": "https://a.example"}),
    ("GET", SEGMENT, {}),
    ("HEAD", SEGMENT, {}),
    ("GET", SEGMENT, {"range": "bytes=1-500000"}),
    ("GET", f"{PREFIX}missing.m4s", {}),
    ("GET", "previews/x/y", {}),
    ("PUT", PLAYLIST, {}),
]


def at_once(service: EdgeService, method: str, path: str, headers: dict[str, str]) -> Answer | None:
    """Return what the service answers without waiting."""
    fields = {name.encode(): value.encode() for name, value in headers.items()}
    found = service.answer_at_once(Request(method, path, "", fields, "192.0.2.1"), most=1 << 30)
    if found is None:
        return None
    if found.hold is not None:
        found.hold.release(found.size, "")
    return Answer(found.status, found.headers, b"".join(found.blocks))


@pytest.mark.parametrize("settings", [{}, {"edge_origins": "https://a.example"}, {"edge_offload": "accel"}])
def test_what_is_answered_at_once_is_what_the_application_answers(data_dir: Path, settings: dict[str, str]) -> None:
    loaded = EdgeSettings.load(data_dir=data_dir, edge_rate_per_client=1000, **settings)
    app, signer, store = create_app(loaded), url_signer(loaded), open_zones(loaded).previews
    store.put(PLAYLIST, LINES, content_type="application/vnd.apple.mpegurl")
    store.put(SEGMENT, BYTES, content_type="video/iso.segment")
    service: EdgeService = app.state.edge
    token = signer.sign(Grant(scope=PREFIX, expires_at=utc_now() + timedelta(minutes=5)))

    async def answers() -> int:
        for key in (PLAYLIST, SEGMENT):
            await ask(app, f"/s/{token}/{key}".encode())
        same = 0
        for method, key, headers in REQUESTS:
            found = at_once(service, method, f"/s/{token}/{key}", headers)
            served = await ask(app, f"/s/{token}/{key}".encode(), method=method, headers=headers)
            if found is not None:
                assert vars(found) == vars(served), (method, key, headers)
                same += 1
        return same

    # All but what is missing, cannot be satisfied or is no reading; nginx is told the place of the missing one, too.
    assert asyncio.run(answers()) == 10
    assert service._streams.open == 0
    assert service._cache._pinned == 0


def test_an_object_that_is_too_large_to_be_held_is_never_answered_empty(data_dir: Path) -> None:
    loaded = EdgeSettings.load(data_dir=data_dir, edge_cache_bytes=100_000)
    app, signer, body = create_app(loaded), url_signer(loaded), b"x" * 20_000
    open_zones(loaded).previews.put(SEGMENT, body, content_type="video/iso.segment")
    path = signer.url("", Grant(scope=PREFIX, expires_at=utc_now() + timedelta(minutes=5)), SEGMENT)

    async def twice() -> list[bytes]:
        return [(await ask(app, path.encode())).body for _ in range(2)]

    assert asyncio.run(twice()) == [body, body]
    assert at_once(app.state.edge, "GET", path, {}) is None


def test_a_rate_counts_a_request_once_however_it_is_answered(data_dir: Path) -> None:
    loaded = EdgeSettings.load(data_dir=data_dir, edge_rate_per_client=0.5)  # five at once
    app, signer = create_app(loaded), url_signer(loaded)
    open_zones(loaded).previews.put(PLAYLIST, LINES, content_type="application/vnd.apple.mpegurl")
    path = signer.url("", Grant(scope=PREFIX, expires_at=utc_now() + timedelta(minutes=5)), PLAYLIST)
    assert at_once(app.state.edge, "GET", path, {}) is None  # a miss, which counts when it is served
    assert asyncio.run(ask(app, path.encode())).status == 200
    answers = [at_once(app.state.edge, "GET", path, {}) for _ in range(5)]
    assert [answer.status for answer in answers if answer] == [200] * 4 + [429]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveEdge]:
    """An edge that has a playlist and a segment in memory; it trusts no proxy."""
    folder = tmp_path_factory.mktemp("edge") / "data"
    with live_edge(folder, EDGE_SEND_TIMEOUT="1", EDGE_MIN_RATE="1000000000") as edge:
        edge.store.put(PLAYLIST, LINES, content_type="application/vnd.apple.mpegurl")
        edge.store.put(SEGMENT, BYTES, content_type="video/iso.segment")
        edge.store.put(LARGE, (BYTES for _ in range(7)), content_type="video/iso.segment")
        for key in (PLAYLIST, SEGMENT, LARGE):
            httpx.get(edge.url + edge.path(key))
        yield edge


def receive(client: socket.socket, size: int) -> bytes:
    """Return so many bytes."""
    received = bytearray()
    while len(received) < size:
        block = client.recv(1 << 20)
        assert block, f"{len(received)} of {size} bytes came"
        received += block
    return bytes(received)


def test_answers_come_in_the_order_of_the_requests_however_each_is_answered(live: LiveEdge) -> None:
    """Large and small ones from memory, a miss and a refusal, all of them sent before any is read."""
    live.store.put(f"{PREFIX}new.vtt", b"WEBVTT\n", content_type="text/vtt")
    keys = [PLAYLIST, SEGMENT, PLAYLIST, f"{PREFIX}new.vtt", SEGMENT, "previews/other", PLAYLIST]
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
        paths = [live.path(key) if key.startswith(PREFIX) else "/s/v1.x/y" for key in keys]
        requests = [f"GET {path} HTTP/1.1\r\nhost: x\r\n" for path in paths]
        requests[-1] += "connection: close\r\n"
        client.sendall("\r\n".join([*requests, ""]).encode())
        received = b""
        with suppress(ConnectionResetError):
            while block := client.recv(1 << 20):
                received += block
    places: list[int] = []
    for body in (LINES, BYTES, LINES, b"WEBVTT\n", BYTES, b"signing.invalid", LINES):
        places.append(received.find(body, places[-1] if places else 0))
        received = received.replace(body, b"\0" * len(body), 1)
    assert places == sorted(places)
    assert -1 not in places


def test_a_segment_in_memory_is_not_held_for_whom_it_is_too_slow(live: LiveEdge) -> None:
    slow = live.count('outcomes_total{outcome="slow client"}')
    with SlowReader(live, "2160p/segment_00000.m4s") as reader:
        assert reader.take() > 0
        assert live.count("streams") == 1
        assert comes_true(10, lambda: live.count('outcomes_total{outcome="slow client"}') == slow + 1)
    assert comes_true(5, lambda: live.count("streams") == 0)


def test_a_client_that_asks_and_asks_and_takes_nothing_does_not_fill_the_memory(live: LiveEdge) -> None:
    before = live.memory()
    request = f"GET {live.path(PLAYLIST)} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 100
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", live.port))
        client.settimeout(0.5)
        with suppress(TimeoutError, ConnectionError):
            for _ in range(1000):  # 100,000 answers of 2.5 KB would be 250 MB
                client.sendall(request)
        assert live.memory() - before < 16 << 20


def test_a_request_with_a_body_and_one_of_an_old_client_are_served(live: LiveEdge) -> None:
    for head, end in (
        ("HTTP/1.1\r\ncontent-length: 3", "abc"),
        ("HTTP/1.0", ""),
        ("HTTP/1.1\r\nconnection: close", ""),
    ):
        with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
            client.sendall(f"GET {live.path(PLAYLIST)} {head}\r\nhost: x\r\n\r\n{end}".encode())
            assert receive(client, len(LINES)).startswith(b"HTTP/1.1 200")


def test_nobody_is_believed_about_a_clients_address_unless_the_operator_trusts_it(live: LiveEdge) -> None:
    """Not even this machine, from which uvicorn would take it."""
    grant = Grant(scope=PREFIX, expires_at=utc_now() + timedelta(minutes=5), address=ip_network("203.0.113.5"))
    for key in (PLAYLIST, SEGMENT, f"{PREFIX}missing.m4s"):
        path = live.signer.url("", grant, key)
        answer = httpx.get(live.url + path, headers={"x-forwarded-for": "203.0.113.5"})
        assert (answer.status_code, answer.json()["code"]) == (403, "signing.address")


@pytest.mark.parametrize("before", [b"", b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"], ids=["first", "later"])
def test_the_rest_of_a_head_is_not_waited_for_for_ever(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """Be it that of the first request of a connection, or of a later one."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    app = create_app(EdgeSettings.load(data_dir=data_dir))
    listener = socket.create_server(("127.0.0.1", 0))
    made = partial(protocol.EdgeProtocol, service=app.state.edge)
    server = uvicorn.Server(uvicorn.Config(app, http=made, log_level="warning"))  # type: ignore[arg-type]

    async def stall() -> bytes:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        received = b""
        if before:
            writer.write(before)
            received = await reader.readuntil(b"}")  # the whole answer
        writer.write(b"GET /health HTTP/1.1\r\nhost: ")
        with suppress(ConnectionError):
            received += await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.should_exit = True
        await serving
        return received

    assert asyncio.run(stall()).count(b"200 OK") == bool(before)
