"""Uploads of a form and in parts into a store without a server of its own, refused where S3 would refuse them."""

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.storage import Expected, UnboundedUploadError, Zones
from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.wiring import EdgeSigner, open_zones, sign_parts, url_signer
from tests.apps.edge_request import Answer, ask

KEY = "uploads/u/a/original.mp4"
BODY = bytes(range(256)) * 16
SOON = timedelta(minutes=5)
LEAST = 5 << 20  # bytes of a part that is not the last


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


class TestParts:
    """Parts are put in any order and again, listed, joined, and given up."""

    DATA = hashlib.sha256(b"x").digest() * (LEAST // 32) + b"the last part"

    @pytest.fixture
    def url(self, uploader: Uploader) -> str:
        return self.sign(uploader)

    def sign(self, uploader: Uploader, data: bytes = DATA) -> str:
        expected = Expected(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        return sign_parts(uploader.signer, "", KEY, content_type="video/mp4", expected=expected, expires_in=SOON).url

    def put(self, uploader: Uploader, url: str, number: int, data: bytes) -> Answer:
        return uploader.send(f"{url}?part={number}", method="PUT", body=data, content_length=str(len(data)))

    def join(self, uploader: Uploader, url: str, *parts: tuple[int, str]) -> Answer:
        body = json.dumps({"parts": [{"part": number, "etag": etag} for number, etag in parts]}).encode()
        return uploader.send(url, method="POST", body=body)

    def test_they_become_one_object(self, uploader: Uploader, url: str) -> None:
        last = self.put(uploader, url, 2, self.DATA[LEAST:])
        self.put(uploader, url, 1, b"a first try")
        first = self.put(uploader, url, 1, self.DATA[:LEAST])
        listed = json.loads(uploader.send(url, method="GET").body)["parts"]
        assert [(each["part"], each["size"]) for each in listed] == [(1, LEAST), (2, 13)]
        answer = self.join(uploader, url, (1, first.headers["etag"]), (2, last.headers["etag"]))
        assert answer.status == 201, answer.body
        with uploader.zones.staging.get(KEY) as body:
            assert body.read() == self.DATA
        assert uploader.staged() == [KEY]

    def test_joining_refuses_what_is_not_there_or_not_as_announced(self, uploader: Uploader, url: str) -> None:
        small = self.put(uploader, url, 1, b"small").headers["etag"]
        last = self.put(uploader, url, 2, self.DATA[LEAST:]).headers["etag"]
        for parts in ([(1, small), (2, last)], [(2, last), (1, small)], [(4, last)], [(2, "x")], [], [(2, last)]):
            assert self.join(uploader, url, *parts).status == 400
        assert uploader.send(url, method="POST", body=b"{").status == 400
        assert KEY not in uploader.staged()

    def test_parts_are_never_more_than_was_announced(self, uploader: Uploader, url: str) -> None:
        assert self.put(uploader, url, 1, self.DATA[:LEAST]).status == 200
        assert self.put(uploader, url, 2, b"x" * 14).status == 400
        assert self.put(uploader, url, 1, self.DATA[:LEAST]).status == 200
        assert uploader.send(f"{url}?part=2", method="PUT", body=b"x").status == 400
        for number in (0, -1, 10_001):
            assert self.put(uploader, url, number, b"x").status == 400

    def test_giving_up_leaves_nothing(self, uploader: Uploader, url: str) -> None:
        self.put(uploader, url, 1, b"x")
        assert uploader.send(url, method="DELETE").status == 204
        assert uploader.staged() == []

    def test_one_upload_does_not_see_another(self, uploader: Uploader, url: str) -> None:
        self.put(uploader, url, 1, b"x")
        assert json.loads(uploader.send(self.sign(uploader), method="GET").body) == {"parts": []}

    def test_an_upload_without_a_bound_is_not_signed(self, uploader: Uploader) -> None:
        with pytest.raises(UnboundedUploadError):
            sign_parts(uploader.signer, "", KEY, content_type="video/mp4", expected=Expected(), expires_in=SOON)
