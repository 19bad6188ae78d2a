"""Running an ASGI application as a process: on a port of its own, or on a socket that its parent opened."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mamkit.errors import MamkitError

if TYPE_CHECKING:
    import asyncio

    from litestar import Litestar
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, LifespanScope

__all__ = ["PortInUseError", "listen", "serve", "stop_with_parent"]

BACKLOG = 2048
KEEP_ALIVE = 75  # seconds for an idle connection; nginx keeps those to its upstreams for 60 (keepalive_timeout)
MAX_MESSAGE = 16 << 10  # bytes of a message through a WebSocket: a login is the longest
GRACE = 5  # seconds that open requests get to end; an event stream would never end by itself


class PortInUseError(MamkitError):
    """A service cannot listen where it was told to.

    Attributes:
        host: Address.
        port: Port.
    """

    code = "apps.port_in_use"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen at {host}:{port}: {reason}; stop what listens there, or choose another port")
        self.host = host
        self.port = port


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        PortInUseError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortInUseError(host, port, error.strerror or str(error)) from error
    return listener


def serve(
    app: "Litestar", listener: socket.socket, *, protocol: "Callable[..., asyncio.Protocol] | None" = None
) -> None:
    """Serve until SIGTERM or SIGINT, then let open requests end.

    Args:
        app: The application.
        listener: Socket that listens.
        protocol: Makes connections instead of uvicorn's own class.

    Raises:
        MamkitError: The application did not start, and this is why.
    """
    import uvicorn  # noqa: PLC0415 - who only listens, for a child process, needs no server

    failures: list[MamkitError] = []
    # Whoever is in front keeps idle connections for some time, and sends the next request into one. If that is closed
    # at this moment, a POST fails that nobody may repeat; so we wait longer than they do.
    config = uvicorn.Config(
        _telling(app, failures),
        interface="asgi3",
        http=protocol or "auto",  # type: ignore[arg-type]
        proxy_headers=False,  # uvicorn believes whatever is connected from this machine; TRUSTED_PROXIES says whom to
        log_level="warning",
        access_log=False,  # its lines would hold tokens
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=KEEP_ALIVE,
        ws_max_size=MAX_MESSAGE,
    )
    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped in good order
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        if failures:
            raise failures[0]


def _telling(app: "Litestar", failures: "list[MamkitError]") -> "ASGI3Application":
    """Return an application that keeps the error of ours with which it does not start, instead of its traceback."""

    async def start(scope: "LifespanScope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        async def told(message: "ASGISendEvent") -> None:
            error = sys.exception()  # Litestar tells of a failure while it handles it
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if message["type"] == "lifespan.startup.failed" and isinstance(error, MamkitError):
                failures.append(error)
                logging.getLogger("uvicorn.error").disabled = True  # it would say that there was an error
            await send(message)

        await app(scope, receive, told)  # type: ignore[arg-type] # Litestar has types of its own for the same

    return lambda scope, receive, send: (start if scope["type"] == "lifespan" else app)(scope, receive, send)  # type: ignore[arg-type]


def stop_with_parent() -> None:
    """End this process with SIGTERM as soon as the process that started it is gone, however it went.

    Assumes that standard input is a pipe of which only the parent holds the other end.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="stop-with-parent", daemon=True).start()
