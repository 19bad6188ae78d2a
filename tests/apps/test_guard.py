"""Where the services go on behalf of somebody: to public addresses, and nowhere else, however it is written."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network

import httpcore
import pytest

from mamkit_apps.guard import AddressGuard, DestinationRefusedError
from mamkit_apps.outgoing import GuardedClient, NoAnswerError

pytestmark = pytest.mark.anyio

LOOPBACK = [ip_network("127.0.0.0/8")]
PUBLIC = "93.184.215.14"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com/#fragment",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:6379/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: x",
        "https://exämple.com/",
        "https://example.com\\@127.0.0.1/",
        "https://127.0.0.1%2f@example.com/",
        "https://%31%32%37.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_url_is_refused_that_hides_where_it_leads(url: str) -> None:
    with pytest.raises(DestinationRefusedError):
        AddressGuard().check_url(url)


@pytest.mark.parametrize("url", ["https://example.com/hook?x=1", "http://example.com:8080/", f"https://{PUBLIC}/"])
def test_a_url_of_the_web_may_be_used(url: str) -> None:
    assert AddressGuard().check_url(url).hostname


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.1", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "255.255.255.255", "168.63.129.16",
        "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.215.14", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "2000::1%1",
    ],
)  # fmt: skip
def test_an_address_is_refused_that_is_not_public(address: str) -> None:
    with pytest.raises(DestinationRefusedError) as caught:
        AddressGuard().check(ip_address(address), 443, host="example.com")
    assert address not in str(caught.value)


@pytest.mark.parametrize("address", ["1.1.1.1", PUBLIC, "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_may_be_connected_to_at_ports_of_the_web(address: str) -> None:
    AddressGuard().check(ip_address(address), 443)
    with pytest.raises(DestinationRefusedError):
        AddressGuard().check(ip_address(address), 25)


def test_what_the_operator_allows_may_be_connected_to_however_it_is_written() -> None:
    guard = AddressGuard([ip_network("10.1.0.0/16"), ip_network("fd00::/8")])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd00::5"):
        guard.check(ip_address(address), 9000)
    with pytest.raises(DestinationRefusedError):
        guard.check(ip_address("10.2.0.1"), 9000)


def answering(*rounds: Sequence[str]) -> tuple[Callable[[str, int], object], list[str]]:
    """Return a resolver that answers differently each time, and the names that it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        found = rounds[min(len(asked), len(rounds)) - 1]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
        return found

    return resolve, asked


async def test_a_name_that_leads_elsewhere_is_refused_and_does_not_say_whether_it_is_there() -> None:
    messages = set()
    for found in (["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["fe80::1%lo"], []):
        guard = AddressGuard(resolve=answering(found)[0])  # type: ignore[arg-type]
        with pytest.raises(DestinationRefusedError) as caught:
            await guard.addresses("intern.example.com", 443)
        messages.add(str(caught.value))
    assert len(messages) == 1


@contextlib.asynccontextmanager
async def server(answer: bytes, *, delay: float = 0) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen at this machine, answer everybody the same, and note what they send."""
    got: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                got.append(await reader.readuntil(b"\r\n\r\n"))
                await asyncio.sleep(delay)
                writer.write(answer)
                await writer.drain()
        finally:
            writer.transport.abort() if delay else writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], got
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # connections close in the next turn of the loop


MOVED = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-It: is\r\n\r\nok"


async def test_a_name_that_changes_its_address_after_the_look_is_not_followed() -> None:
    """DNS rebinding: the address that was looked at is the one that is connected to; nothing is resolved twice."""
    async with server(OK) as (port, got):
        # Were the name resolved once to look at and once to connect to, the second time would lead to this machine.
        resolve, asked = answering([PUBLIC], ["127.0.0.1"])
        client = GuardedClient(AddressGuard(resolve=resolve))  # type: ignore[arg-type]
        connected: list[str] = []

        async def connect(host: str, *_: object) -> object:
            connected.append(host)
            raise httpcore.ConnectError("nobody there")

        client._pool._network_backend._network.connect_tcp = connect  # type: ignore[attr-defined]
        with pytest.raises(NoAnswerError):
            async with client.stream("POST", "http://rebind.example.com:8080/", content=b"{}"):
                pass
        assert (asked, connected) == (["rebind.example.com"], [PUBLIC])
        with pytest.raises(DestinationRefusedError):
            async with client.stream("POST", "http://rebind.example.com:8080/", content=b"{}"):
                pass
        assert (connected, got) == ([PUBLIC], [])
        await client.close()
        assert port


async def test_a_request_goes_to_the_address_under_its_name() -> None:
    async with server(OK) as (port, got):
        client = GuardedClient(AddressGuard(LOOPBACK, resolve=answering(["127.0.0.1"])[0]))  # type: ignore[arg-type]
        async with client.stream(
            "POST", f"http://hooks.example.com:{port}/in?a=b", content=b"{}", headers={"x": "y"}
        ) as found:
            assert (found.status, found.headers["x-it"], await found.read(10)) == (200, "is", b"ok")
        await client.close()
    assert got[0].startswith(b"POST /in?a=b HTTP/1.1\r\n")
    assert f"host: hooks.example.com:{port}\r\n".encode() in got[0].lower()


async def test_a_redirect_is_not_followed() -> None:
    async with server(MOVED) as (
        port,
        got,
    ):
        client = GuardedClient(AddressGuard(LOOPBACK))
        async with client.stream("GET", f"http://127.0.0.1:{port}/") as found:
            assert found.status == 302
        await client.close()
    assert len(got) == 1


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(OK) as (proxy, got):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        client = GuardedClient(AddressGuard())
        with pytest.raises(DestinationRefusedError):
            async with client.stream("GET", "http://localhost/"):
                pass
        await client.close()
    assert got == []


async def test_an_answer_that_does_not_end_is_read_as_far_as_is_of_use() -> None:
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000) as (port, _):
        client = GuardedClient(AddressGuard(LOOPBACK))
        async with client.stream("GET", f"http://127.0.0.1:{port}/") as found:
            assert await found.read(1000) == b"x" * 1000
        await client.close()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000])
async def test_what_does_not_answer_in_http_is_an_error(answer: bytes) -> None:
    async with server(answer) as (port, _):
        client = GuardedClient(AddressGuard(LOOPBACK))
        with pytest.raises(NoAnswerError):
            async with client.stream("GET", f"http://127.0.0.1:{port}/"):
                pass
        await client.close()


async def test_a_host_that_is_slow_costs_no_more_than_the_time_given() -> None:
    async with server(OK, delay=60) as (port, _):
        client = GuardedClient(AddressGuard(LOOPBACK))
        with pytest.raises(NoAnswerError, match="within"):
            async with client.stream("GET", f"http://127.0.0.1:{port}/", within=timedelta(seconds=0.05)):
                pass
        await client.close()
