"""How the services ask others over HTTP: services that the operator names, and URLs that users name."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpcore
import httpx

from mamkit.auth.identity import Answer
from mamkit.errors import MamkitError
from mamkit_apps.guard import AddressGuard

__all__ = ["GuardedAnswer", "GuardedClient", "HttpTransport", "NoAnswerError"]

TIMEOUT = 10.0  # seconds; somebody waits for the login
MAX_BODY = 1 << 20  # bytes
CONNECT = 5.0  # seconds for a connection and for TLS, each
TRIED = 3  # addresses of one name
IDLE = 10.0  # seconds for which a connection is kept for the next request to the same host


class HttpTransport:
    """A `mamkit.auth.identity.Transport`: follows no redirects, waits 10 s and reads 1 MiB at the most."""

    def __init__(self) -> None:
        self._client = httpx.Client(follow_redirects=False, timeout=TIMEOUT)

    def __call__(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and return the answer.

        Raises:
            OSError: There is none, or one that is too long.
        """
        data = None if form is None else dict(form)
        try:
            with self._client.stream(method, url, data=data, headers=dict(headers or {})) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_BODY:
                        raise ConnectionError("the answer is too long")
                return Answer(status=answer.status_code, body=bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectionError("there is no answer") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class NoAnswerError(MamkitError):
    """A host that a user named did not answer, or not in time, or not in HTTP; the cause is chained."""

    code = "apps.no_answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedAnswer:
    """An answer whose body has not been read."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters; of a name that comes twice, the last."""
    pieces: AsyncIterator[bytes]
    """The body, as it comes: no encoding is undone, and nothing bounds it but whoever reads."""

    async def read(self, most: int) -> bytes:
        """Return the start of the body, at most so many bytes; the rest is never asked for."""
        body = bytearray()
        async for piece in self.pieces:
            body += piece
            if len(body) >= most:
                break
        return bytes(body[:most])


class GuardedClient:
    """Asks hosts that users have named; see `mamkit_apps.guard`.

    A name is resolved once for a connection, every address is looked at, and one of these is connected to: there is no
    second look-up that could answer differently. Redirects are not followed, proxies of the environment are not used,
    and there are no cookies. Certificates are checked against the name.

    Args:
        guard: Says where to go.
        tls: Which certificates are believed; those of certifi if None.
        most: Connections at once.
    """

    def __init__(self, guard: AddressGuard, *, tls: ssl.SSLContext | None = None, most: int = 128) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls, max_connections=most, keepalive_expiry=IDLE, network_backend=_GuardedNetwork(guard)
        )

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        within: timedelta = timedelta(seconds=15),
    ) -> AsyncIterator[GuardedAnswer]:
        """Send a request; the answer is good within the block.

        Args:
            method: `GET`, `POST`, …
            url: As for `AddressGuard.check_url`.
            headers: Beside `Host`.
            content: The body.
            within: For everything together, to the end of the block.

        Raises:
            DestinationRefusedError: The guard refuses the URL, or an address that its name leads to.
            NoAnswerError: The host does not answer, not in time, or not in HTTP.
        """
        self._guard.check_url(url)
        try:
            async with asyncio.timeout(within.total_seconds()):
                waiting = {"connect": CONNECT, "pool": CONNECT}
                sent = [*(headers or {}).items(), *([("content-length", str(len(content)))] if content else [])]
                async with self._pool.stream(
                    method, url, headers=sent, content=content or None, extensions={"timeout": waiting}
                ) as found:
                    yield GuardedAnswer(
                        status=found.status,
                        headers={
                            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in found.headers
                        },
                        pieces=found.aiter_stream(),
                    )
        except TimeoutError as error:
            raise NoAnswerError(f"there was no answer within {within.total_seconds():.0f} s") from error
        except (OSError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NoAnswerError(f"the host did not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and never to a name."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async with asyncio.timeout(timeout):
            addresses = await self._guard.addresses(host, port)
        trouble: Exception | None = None
        for address in addresses[:TRIED]:
            try:
                return await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        assert trouble is not None  # noqa: S101 - there is an address
        raise trouble

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del timeout, socket_options
        raise httpcore.ConnectError(f"a socket of this machine is nobody's to name: {path}")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
