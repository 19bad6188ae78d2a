"""A host that media is imported from: it says what it is told to say, be it HTTP or not."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["MediaHost", "Request", "file", "media_host", "redirect"]

ADDRESS = "127.0.0.2"  # of this machine on Linux, and not the one that the rest of a test listens at


class Request(BaseHTTPRequestHandler):
    """One request; what a `Behaviour` answers it with."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        host = self.server.media_host
        host.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        behaviour = host.pages.get(self.path.partition("?")[0])
        with contextlib.suppress(ConnectionError, TimeoutError):
            if behaviour is None:
                self.answer(404, b"there is nothing here")
            else:
                behaviour(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; names of headers with `_` for `-`."""
        self.head(status, **{"content_length": str(len(body)), **headers})
        self.wfile.write(body)

    def head(self, status: int, **headers: str) -> None:
        """Send the start of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Behaviour = Callable[[Request], None]


class _Server(ThreadingHTTPServer):
    media_host: "MediaHost"
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients of these tests break connections off."""


class MediaHost:
    """What a host has, and what it was asked.

    Args:
        url: Its base URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Behaviour] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        """Set when the test is over: whoever drips ends."""

    def put(self, path: str, behaviour: Behaviour) -> str:
        """Let a path do something, and return its URL."""
        self.pages[path] = behaviour
        return self.url + path


@contextlib.contextmanager
def media_host() -> Iterator[MediaHost]:
    """Serve on a free port until the block ends."""
    server = _Server((ADDRESS, 0), Request)
    server.media_host = host = MediaHost(f"http://{ADDRESS}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield host
    finally:
        host.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def file(
    body: bytes, *, etag: str = '"1"', ranges: bool = True, breaks: list[int] | None = None, **headers: str
) -> Behaviour:
    """Serve a file, with ranges under `If-Range`.

    Args:
        body: Of the file.
        etag: None of it if empty.
        ranges: Whether there are ranges.
        breaks: After how many bytes the next answers break off; once there are none, they are whole.
        headers: More of the answer.
    """

    def serve(request: Request) -> None:
        more = {"content_type": "video/mp4", **({"etag": etag} if etag else {}), **headers}
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        start, status = 0, 200
        if wanted and ranges and request.headers.get("if-range") == etag:
            start, status = int(wanted[1]), 206
            more["content_range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        request.head(status, content_length=str(len(body) - start), **more)
        most = breaks.pop(0) if breaks else len(body)
        request.wfile.write(body[start : start + most])
        if most < len(body) - start:
            request.close_connection = True

    return serve


def redirect(location: str, status: int = 302) -> Behaviour:
    """Lead elsewhere."""
    return lambda request: request.answer(status, location=location)
