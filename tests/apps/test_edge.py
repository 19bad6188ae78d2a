"""The edge: what a token opens, how objects are sent, and what an upload must be."""

import hashlib
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from mamkit.clock import utc_now
from mamkit.signing import Grant, UrlSigner
from mamkit.storage import Zones
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.zones import EdgeSigner, open_zones, url_signer

KEY = "previews/a/b/720p/segment_00000.m4s"
BODY = bytes(range(256)) * 16


@pytest.fixture
def zones(data_dir: Path) -> Zones:
    return open_zones(EdgeSettings.load(data_dir=data_dir), edge_url="http://edge.test")


@pytest.fixture
def signer(data_dir: Path) -> UrlSigner:
    return url_signer(EdgeSettings.load(data_dir=data_dir))


@pytest.fixture
def path(zones: Zones, signer: UrlSigner) -> str:
    """Path of a signed request for an object that is there."""
    zones.previews.put(KEY, BODY, content_type="video/iso.segment")
    return signed(signer, KEY)


def signed(signer: UrlSigner, key: str, *, scope: str = "previews/a/b/", seconds: int = 300) -> str:
    grant = Grant(scope=scope, expires_at=utc_now() + timedelta(seconds=seconds))
    return signer.url("", grant, key)


def test_a_signed_object_is_sent_whole_with_what_a_player_needs(edge: TestClient[Litestar], path: str) -> None:
    answer = edge.get(path, headers={"origin": "https://player.example"})
    assert answer.status_code == 200
    assert answer.content == BODY
    assert answer.headers["content-type"] == "video/iso.segment"
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["cache-control"].startswith("private")


def test_an_object_is_never_cached_past_the_expiry_of_its_token(
    edge: TestClient[Litestar], path: str, signer: UrlSigner
) -> None:
    answer = edge.get(signed(signer, KEY, seconds=90))
    age = int(answer.headers["cache-control"].partition("max-age=")[2].partition(",")[0])
    assert 80 <= age <= 90


def test_head_tells_the_length_and_sends_nothing(edge: TestClient[Litestar], path: str) -> None:
    answer = edge.head(path)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(BODY)), b"")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=4000-", 4000, 4096),
        ("bytes=-96", 4000, 4096),
        ("bytes=-999999", 0, 4096),
        ("bytes=4090-999999", 4090, 4096),
    ],
)
def test_a_range_is_sent_as_asked(edge: TestClient[Litestar], path: str, asked: str, start: int, stop: int) -> None:
    answer = edge.get(path, headers={"range": asked})
    assert answer.status_code == 206
    assert answer.content == BODY[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/4096"


@pytest.mark.parametrize("asked", ["bytes=4096-", "bytes=9999-10000", "bytes=-0"])
def test_a_range_with_nothing_in_it_is_416_and_tells_the_size(
    edge: TestClient[Litestar], path: str, asked: str
) -> None:
    answer = edge.get(path, headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */4096"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=a-b", "bytes=5-2", "bytes=0-1,x", "bytes=", "bytes=--1"])
def test_a_range_that_is_not_understood_is_ignored(edge: TestClient[Litestar], path: str, asked: str) -> None:
    answer = edge.get(path, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, BODY)


def test_if_range_with_another_etag_sends_the_whole(edge: TestClient[Litestar], path: str) -> None:
    etag = edge.get(path).headers["etag"]
    same = edge.get(path, headers={"range": "bytes=0-9", "if-range": etag})
    other = edge.get(path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


def test_an_etag_that_the_client_has_is_304(edge: TestClient[Litestar], path: str) -> None:
    etag = edge.get(path).headers["etag"]
    answer = edge.get(path, headers={"if-none-match": f'"x", {etag}'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


def test_a_large_object_is_streamed_with_its_length(
    edge: TestClient[Litestar], zones: Zones, signer: UrlSigner
) -> None:
    body = hashlib.sha256(b"x").digest() * (3 << 15)  # 3 MiB
    zones.previews.put("previews/a/b/big.mp4", body, content_type="video/mp4")
    answer = edge.get(signed(signer, "previews/a/b/big.mp4"))
    assert answer.content == body
    assert answer.headers["content-length"] == str(len(body))
    part = edge.get(signed(signer, "previews/a/b/big.mp4"), headers={"range": "bytes=7-2500000"})
    assert part.content == body[7:2500001]


def test_what_is_not_there_is_404(edge: TestClient[Litestar], signer: UrlSigner) -> None:
    answer = edge.get(signed(signer, "previews/a/b/missing.m4s"))
    assert (answer.status_code, answer.json()["code"]) == (404, "storage.not_found")


@pytest.mark.parametrize(
    "key",
    [
        "previews/a/c/720p/segment_00000.m4s",
        "previews/a/b",
        "previews/a/bb/x",
        "previews/a/b/../c/x",
        "previews/a/b/%2e%2e/c/x",
        "previews/a/b/%2E%2E%2Fc/x",
        "previews/a/b/..%2f..%2fc",
        "previews/a/b/x%00",
        "previews/a/b/x%5c..",
        "masters/a/v1/original.mp4",
        "uploads/a/b/original.mp4",
        "etc/passwd",
    ],
)
def test_no_spelling_of_a_path_leaves_the_scope(edge: TestClient[Litestar], path: str, key: str) -> None:
    token = path.split("/")[2]
    answer = edge.get(f"/s/{token}/{key}")
    assert answer.status_code in {400, 403, 404}, answer.text
    assert answer.status_code == 403 or answer.json()["code"] != "storage.not_found"


def test_an_expired_token_is_refused_with_its_own_code(
    edge: TestClient[Litestar], path: str, signer: UrlSigner
) -> None:
    answer = edge.get(signed(signer, KEY, seconds=-10))
    assert answer.status_code == 403
    assert "expired" in answer.json()["code"]


def test_a_token_for_one_address_refuses_others(edge: TestClient[Litestar], path: str, signer: UrlSigner) -> None:
    grant = Grant(scope=KEY, expires_at=utc_now() + timedelta(minutes=5), address=ip_network("192.0.2.7"))
    answer = edge.get(signer.url("", grant, KEY), headers={"x-forwarded-for": "192.0.2.7"})
    assert answer.status_code == 403


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(max_size=80), key=st.text(max_size=80))
def test_garbage_is_a_client_error_and_never_ours(edge: TestClient[Litestar], token: str, key: str) -> None:
    from urllib.parse import quote

    answer = edge.get(f"/s/{quote(token, safe='')}/{quote(key, safe='/')}")
    assert 400 <= answer.status_code < 500


def test_no_refusal_repeats_the_token(edge: TestClient[Litestar], path: str) -> None:
    token = path.split("/")[2]
    answer = edge.get(f"/s/{token[:-2]}xx/{KEY}")
    assert answer.status_code == 403
    assert token[:20] not in answer.text


class TestUpload:
    """A signed upload is taken as it was announced, or leaves nothing."""

    KEY = "uploads/u/a/original.mp4"

    @pytest.fixture
    def url(self, signer: UrlSigner) -> str:
        return self.sign(signer)

    def sign(self, signer: UrlSigner, *, seconds: int = 300, sha256: str | None = None) -> str:
        from mamkit.storage import Expected

        request = EdgeSigner("", signer).sign(
            "PUT",
            self.KEY,
            content_type="video/mp4",
            expected=Expected(size=len(BODY), sha256=sha256 or hashlib.sha256(BODY).hexdigest()),
            expires_in=timedelta(seconds=seconds),
        )
        return request.url

    def put(self, edge: TestClient[Litestar], url: str, body: bytes = BODY, kind: str = "video/mp4") -> int:
        return edge.put(url, content=body, headers={"content-type": kind}).status_code

    def test_it_is_stored_with_its_type_and_digest(self, edge: TestClient[Litestar], url: str, zones: Zones) -> None:
        assert self.put(edge, url) == 201
        info = zones.staging.head(self.KEY)
        assert (info.size, info.content_type, info.sha256) == (4096, "video/mp4", hashlib.sha256(BODY).hexdigest())

    def test_a_second_upload_of_the_same_bytes_is_harmless(
        self, edge: TestClient[Litestar], url: str, zones: Zones
    ) -> None:
        assert [self.put(edge, url), self.put(edge, url)] == [201, 201]
        with zones.staging.get(self.KEY) as body:
            assert body.read() == BODY

    @pytest.mark.parametrize(
        ("body", "kind", "status"),
        [
            (BODY[:-1], "video/mp4", 400),
            (BODY + b"x", "video/mp4", 400),
            (b"", "video/mp4", 400),
            (BODY[::-1], "video/mp4", 400),
            (BODY, "text/html", 400),
            (BODY, "video/mp4; charset=x", 400),
        ],
        ids=["short", "long", "empty", "other bytes", "other type", "type with parameter"],
    )
    def test_what_was_not_announced_is_refused_and_leaves_nothing(
        self, edge: TestClient[Litestar], url: str, zones: Zones, body: bytes, kind: str, status: int
    ) -> None:
        assert self.put(edge, url, body, kind) == status
        assert list(zones.staging.list()) == []

    def test_a_body_without_length_is_cut_off_where_it_grows_too_long(
        self, edge: TestClient[Litestar], url: str, zones: Zones
    ) -> None:
        def endless() -> object:
            for _ in range(100):
                yield b"x" * 65536

        answer = edge.put(url, content=endless(), headers={"content-type": "video/mp4"})  # type: ignore[arg-type]
        assert answer.status_code == 400
        assert list(zones.staging.list()) == []

    def test_an_expired_or_changed_signature_or_another_key_is_refused(
        self, edge: TestClient[Litestar], url: str, signer: UrlSigner, zones: Zones
    ) -> None:
        token = url.split("/")[2]
        for wrong in (
            self.sign(signer, seconds=-10),
            f"/s/{token[:-3]}abc/{self.KEY}",
            f"/s/{token}/uploads/u/b/original.mp4",
        ):
            assert self.put(edge, wrong) == 403
        assert list(zones.staging.list()) == []

    def test_a_playback_token_uploads_nothing(self, edge: TestClient[Litestar], path: str, zones: Zones) -> None:
        assert self.put(edge, path) == 403
        assert zones.previews.head(KEY).size == len(BODY)

    def test_an_upload_token_downloads_nothing(self, edge: TestClient[Litestar], url: str) -> None:
        assert self.put(edge, url) == 201
        assert edge.get(url).status_code == 403
