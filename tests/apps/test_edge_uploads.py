"""Uploads of a form into a store without a server of its own, refused where S3 would refuse them."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.signing import Grant
from mamkit.storage import Expected, Zones
from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.zones import EdgeSigner, open_zones, url_signer
from tests.apps.edge_request import Answer, ask

KEY = "uploads/u/a/original.mp4"
BODY = bytes(range(256)) * 16
SOON = timedelta(minutes=5)


class Uploader:
    def __init__(self, data_dir: Path) -> None:
        settings = EdgeSettings.load(data_dir=data_dir)
        self.app = create_app(settings)
        self.signer = url_signer(settings)
        self.zones: Zones = open_zones(settings)

    def send(self, path: str, *, method: str, body: bytes = b"", **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.run(ask(self.app, path.encode(), method=method, headers=given, body=body))

    def form(self, body: bytes, *, sha256: str | None = None) -> Answer:
        expected = Expected(size=len(BODY), sha256=sha256 or hashlib.sha256(BODY).hexdigest())
        request = EdgeSigner("", self.signer).sign(
            "POST", KEY, content_type="video/mp4", expected=expected, expires_in=SOON
        )
        return self.send(request.url, method="POST", body=body, content_type="multipart/form-data; boundary=XX")

    def staged(self) -> list[str]:
        return [info.key for info in self.zones.staging.list()]


@pytest.fixture
def uploader(data_dir: Path) -> Uploader:
    return Uploader(data_dir)


def form(
    data: bytes = BODY, *, kind: str = "video/mp4", fields: dict[str, str] | None = None, after: bytes = b""
) -> bytes:
    head = "".join(
        f'--XX\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (fields or {}).items()
    )
    head += f'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data + b"\r\n" + after + b"--XX--\r\n"


def test_a_form_stores_its_file(uploader: Uploader) -> None:
    answer = uploader.form(form(fields={"Content-Type": "video/mp4", "x-note": "hello"}))
    assert (answer.status, answer.body) == (204, b"")
    with uploader.zones.staging.get(KEY) as body:
        assert body.read() == BODY
        assert body.info.content_type == "video/mp4"


@pytest.mark.parametrize(
    "body",
    [
        form(BODY[:-1]),
        form(BODY + b"x"),
        form(BODY[::-1]),
        form(kind="text/html"),
        form(fields={"Content-Type": "text/html"}),
        form(fields={"x": "y" * 70_000}),
        form(after=b'--XX\r\nContent-Disposition: form-data; name="file"\r\n\r\nz\r\n'),
        form()[:-30],
        b"",
        b"--XX--\r\n",
        b"nonsense",
    ],
    ids=["short", "long", "bytes", "file type", "field type", "long field", "two", "cut", "empty", "no file", "none"],
)
def test_a_form_that_is_not_as_announced_leaves_nothing(uploader: Uploader, body: bytes) -> None:
    answer = uploader.form(body)
    assert answer.status == 400, answer.body
    assert uploader.staged() == []


def test_a_condition_that_the_edge_does_not_know_is_not_passed_over(uploader: Uploader) -> None:
    """Whoever signed it meant to forbid something."""
    conditions = {"type": "video/mp4", "length": str(len(BODY)), "upload": "1f"}
    grant = Grant(
        scope=KEY,
        expires_at=uploader.signer.now() + SOON,
        methods=frozenset({"GET", "PUT", "POST"}),
        conditions=conditions,
    )
    url = uploader.signer.url("", grant, KEY)
    for method in ("PUT", "POST"):
        answer = uploader.send(url, method=method, body=BODY, content_type="video/mp4")
        assert answer.status == 400, answer.body
    assert uploader.send(url, method="GET").status in {403, 404}
    assert uploader.staged() == []
