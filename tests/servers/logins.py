"""Discord and Plex as small local servers that answer, and refuse, as their published interfaces say."""

import base64
import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, lets `answer` answer it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self._handle(dict(parse_qsl(body.decode())))

    def _handle(self, form: dict[str, str]) -> None:
        parts = urlsplit(self.path)
        status, found = self.answer(parts.path, dict(parse_qsl(parts.query)), form)
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> tuple[int, Any]:
        """Return status and body."""
        raise AssertionError

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Discord(_Handler):
    """`/oauth2/authorize`, `/api/oauth2/token`, `/api/users/@me`; tests fill in who logs in."""

    user: ClassVar[dict[str, Any]] = {}
    codes: ClassVar[dict[str, dict[str, str]]] = {}
    tokens: ClassVar[set[str]] = set()

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> tuple[int, Any]:
        if path == "/oauth2/authorize":  # the page on which somebody agrees; here it answers with where they go next
            code = secrets.token_hex(8)
            self.codes[code] = query
            return 200, {"code": code, "state": query["state"]}
        if path == "/api/oauth2/token":
            return self._token(form)
        if path == "/api/users/@me":
            scheme, _, token = self.headers.get("authorization", "").partition(" ")
            known = scheme == "Bearer" and token in self.tokens
            return (200, self.user) if known else (401, {"message": "401: Unauthorized", "code": 0})
        return 404, {"message": "404: Not Found", "code": 0}

    def _token(self, form: dict[str, str]) -> tuple[int, Any]:
        expected = "Basic " + base64.b64encode(b"client:s3cret").decode()
        if self.headers.get("authorization") != expected:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)  # a code is good once
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": 'Invalid "code" in request.'}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant", "error_description": 'Invalid "code_verifier" in request.'}
        token = secrets.token_hex(16)
        self.tokens.add(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 604800, "scope": asked["scope"]}


class Plex(_Handler):
    """`/api/v2/pins`, `/api/v2/pins/{id}`, `/api/v2/user`; tests confirm a PIN by `confirm`."""

    user: ClassVar[dict[str, Any]] = {}
    pins: ClassVar[dict[int, dict[str, Any]]] = {}

    @classmethod
    def confirm(cls) -> None:
        """Confirm every PIN, as somebody does on Plex's pages."""
        for pin in cls.pins.values():
            pin["authToken"] = "plex-token"

    def answer(self, path: str, query: dict[str, str], form: dict[str, str]) -> tuple[int, Any]:
        client = self.headers.get("x-plex-client-identifier")
        if not client:
            return 400, {"errors": [{"code": 1000, "message": "X-Plex-Client-Identifier is missing", "status": 400}]}
        if path == "/api/v2/pins" and form.get("strong") == "true":
            number = len(self.pins) + 1
            self.pins[number] = {
                "id": number, "code": secrets.token_hex(12), "product": self.headers.get("x-plex-product"),
                "trusted": False, "clientIdentifier": client, "expiresIn": 1800, "authToken": None,
            }  # fmt: skip
            return 201, self.pins[number]
        if path.startswith("/api/v2/pins/"):
            pin = self.pins.get(int(path.rpartition("/")[2]))
            if pin is None or pin["code"] != query.get("code") or pin["clientIdentifier"] != client:
                return 404, {"errors": [{"code": 1020, "message": "Code not found or expired", "status": 404}]}
            return 200, pin
        if path == "/api/v2/user":
            known = self.headers.get("x-plex-token") == "plex-token"
            refusal = {"errors": [{"code": 1001, "message": "User could not be authenticated", "status": 401}]}
            return (200, self.user) if known else (401, refusal)
        raise AssertionError(path)


@contextlib.contextmanager
def running(kind: type[_Handler]) -> Iterator[str]:
    """Run a server in a thread until the block ends; give its base URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
