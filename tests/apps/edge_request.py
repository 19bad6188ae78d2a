"""Requests to an application in this process, byte for byte as they are written here: no client tidies them up."""

from typing import Any

__all__ = ["Answer", "ask"]


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = {name.decode(): value.decode("latin-1") for name, value in headers}
        self.body = body


async def ask(
    app: Any,
    path: bytes,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    client: str = "192.0.2.1",
) -> Answer:
    """Send one request and return its answer."""
    from urllib.parse import unquote_to_bytes

    raw, _, query = path.partition(b"?")
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": unquote_to_bytes(raw).decode("utf-8", "replace"), "raw_path": raw, "query_string": query,
        "root_path": "", "headers": [(k.encode(), v.encode("latin-1")) for k, v in (headers or {}).items()],
        "client": (client, 1), "server": ("edge.test", 80), "extensions": {}, "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    content = b"".join(bytes(message.get("body", b"")) for message in sent if message["type"] == "http.response.body")
    return Answer(start["status"], start["headers"], content)
