"""What is S3's own: uploads in parts that never replace, what a server can do, whom requests are sent to."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from mamkit.storage import (
    Expected,
    InvalidKeyError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from mamkit.storage.s3 import Patience, S3Options, S3Store
from mamkit.storage.s3._http import Bucket
from tests.s3_servers import emptied, options_for, store_on
from tests.unit.storage.fault_proxy import FaultProxy

PART = 5 * 1024 * 1024
LARGE = bytes(range(256)) * (PART // 200)  # two parts


@pytest.fixture(params=["seaweedfs", "ceph"])
def store(request: pytest.FixtureRequest) -> Iterator[S3Store]:
    endpoint = request.getfixturevalue("weed" if request.param == "seaweedfs" else "ceph")
    with store_on(endpoint, "own", part_size=PART) as bucket:
        yield emptied(bucket)


def test_a_large_upload_never_replaces_if_absent_is_asked(store: S3Store) -> None:
    """Not even where the server ignores the condition of a completion; and nothing is left of those that lost."""
    first = store.put("film", LARGE, content_type="video/mp4", metadata={"x": "1"}, if_absent=True)
    assert (first.size, first.content_type, first.metadata) == (len(LARGE), "video/mp4", {"x": "1"})
    with pytest.raises(ObjectExistsError):
        store.put("film", LARGE[::-1], if_absent=True)
    with store.get("film") as body:
        assert body.read() == LARGE
    keys = [key for key in raw_keys(store) if "parts/" in key]
    assert keys == []


def test_one_of_racing_large_uploads_wins(store: S3Store) -> None:
    films = [bytes([number]) * (PART + 1) for number in range(4)]

    def race(number: int) -> int | None:
        try:
            store.put("film", films[number], if_absent=True)
        except ObjectExistsError:
            return None
        return number

    with ThreadPoolExecutor(4) as pool:
        winners = [number for number in pool.map(race, range(4)) if number is not None]
    assert len(winners) == 1
    with store.get("film") as body:
        assert body.read() == films[winners[0]]


def test_what_is_too_large_for_one_request_is_copied_in_parts(store: S3Store) -> None:
    """With its facts, over what stands under the key; and never where a key must be free and no way is safe."""
    written = store.put("film", LARGE, content_type="video/mp4", metadata={"x": "1"})
    features = replace(store.features, large_copy=False, copy_source_match=True)
    options = replace(store._options, features=features, largest_request=PART)
    with S3Store(store.bucket, options) as small:
        small.put("copy", b"old")
        copy = small.copy("film", "copy")
        assert (copy.size, copy.content_type, copy.metadata) == (len(LARGE), "video/mp4", {"x": "1"})
        with small.get("copy") as body:
            assert body.read() == LARGE
        with pytest.raises(UnsupportedOperationError):
            small.copy("film", "new", if_absent=True)
        with pytest.raises(UnsupportedOperationError):
            small.put("new", LARGE, if_absent=True)
        with pytest.raises(ObjectChangedError):
            small.copy("film", "copy", if_match="0" * 32)
    assert [info.key for info in store.list()] == ["copy", "film"]
    assert store.head("film").etag == written.etag
    assert unfinished(store) == 0


def test_a_server_that_copies_any_size_at_once_is_let_do_it(weed: str) -> None:
    """So that a master of more than 5 GB is promoted, and never replaced."""
    with store_on(weed, "own", part_size=PART, largest_request=PART) as store:
        emptied(store)
        store.put("film", LARGE)
        assert store.features.large_copy
        assert store.copy("film", "master", if_absent=True).size == len(LARGE)
        with pytest.raises(ObjectExistsError):
            store.copy("film", "master", if_absent=True)
        assert store.put("other", LARGE, if_absent=True).size == len(LARGE)
        assert [key for key in raw_keys(store) if "parts/" in key] == []


def test_parts_of_strangers_with_checksums_are_joined(store: S3Store) -> None:
    """Though SeaweedFS tells none of the digests that a completion would have to repeat; a wrong part it refuses."""
    plan = store.begin_parts(
        "film", content_type="a/b", expected=Expected(size=len(LARGE)), part_size=PART, checksums=True
    )
    for number in range(1, plan.count + 1):
        part = LARGE[plan.range_of(number).start : plan.range_of(number).stop]
        digest = hashlib.sha256(part).hexdigest()
        signed = store.sign_part(plan, number, sha256=digest, expires_in=timedelta(hours=1))
        if store.features.checksums:
            wrong = urllib3.request("PUT", signed.url, body=part[::-1], headers=dict(signed.headers), retries=False)
            assert wrong.status == 400
        assert urllib3.request("PUT", signed.url, body=part, headers=dict(signed.headers), retries=False).status == 200
    assert store.complete_parts(plan).size == len(LARGE)
    with store.get("film") as body:
        assert body.read() == LARGE


@pytest.mark.parametrize("size", [PART, PART + 1, 2 * PART])
def test_files_of_whole_parts_and_a_byte_more_or_less_arrive(weed: str, tmp_path: Path, size: int) -> None:
    """Known by their size, or not; with a digest of the whole, or not; what fits into one request is sent in one."""
    data = (LARGE * 2)[:size]
    (tmp_path / "film").write_bytes(data)
    with store_on(weed, "own", part_size=PART) as store:
        emptied(store)
        for expected in (None, Expected(size=size), Expected(sha256=hashlib.sha256(data).hexdigest())):
            with (tmp_path / "film").open("rb") as file:
                written = store.put("film", file, expected=expected)
            assert (written.size, written.sha256 is None) == (size, size > PART)
            with store.get("film") as body:
                assert body.read() == data


def test_a_large_upload_that_is_refused_leaves_nothing(store: S3Store) -> None:
    for expected in (Expected(size=len(LARGE) + 1), Expected(sha256=hashlib.sha256(b"other").hexdigest())):
        with pytest.raises(Exception, match="announced"):
            store.put("film", LARGE, expected=expected)
    assert list(store.list()) == []
    assert unfinished(store) == 0


def test_the_stores_own_keys_are_nobody_elses(store: S3Store) -> None:
    for key in (".mamkit/probe", ".mamkit/parts/x"):
        with pytest.raises(InvalidKeyError):
            store.put(key, b"")
    assert store.features.conditional_put
    assert list(store.list()) == []


def test_a_condition_that_the_server_ignores_is_not_relied_on(weed: str) -> None:
    with store_on(weed, "own") as known:
        features = replace(known.features, conditional_put=False)
    with S3Store("own", options_for(weed, features=features)) as store:
        with pytest.raises(UnsupportedOperationError):
            store.put("a", b"", if_absent=True)
        store.put("a", b"")


def test_requests_are_signed_for_the_public_name(weed: str) -> None:
    options = options_for(weed, public_endpoint="https://media.example.com", addressing="virtual")
    with S3Store("own", options) as store:
        url = urlsplit(store.sign_get("a b/ü.mp4", expires_in=timedelta(hours=1)).url)
    assert (url.scheme, url.netloc, url.path) == ("https", "own.media.example.com", "/a%20b/%C3%BC.mp4")
    with S3Store("own", S3Options(access_key="id", secret_key="secret", region="eu-west-1")) as store:
        assert urlsplit(store.sign_get("a", expires_in=timedelta(hours=1)).url).netloc.startswith("own.s3.")
        with pytest.raises(UnsupportedOperationError):
            store.sign_get("a", expires_in=timedelta(days=8))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://[::1]:8333", "[::1]:8333"),
        ("http://[2001:db8::1]:80", "[2001:db8::1]"),
        ("https://[2001:DB8::1]", "[2001:db8::1]"),
        ("https://s3.example.com:443", "s3.example.com"),
        ("http://127.0.0.1:443", "127.0.0.1:443"),
    ],
)
def test_the_host_of_requests_is_written_as_urls_have_it(origin: str, host: str) -> None:
    assert Bucket(origin, "/films").host == host


def test_a_server_is_reached_by_an_address_of_ipv6(weed: str) -> None:
    """With the signature over its name, in requests of our own and in those of strangers."""
    try:
        proxy = FaultProxy(urlsplit(weed).port or 0, stall=1, host="::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    with store_on(weed, "own") as direct:
        emptied(direct)
    with proxy, S3Store("own", options_for(f"http://[::1]:{proxy.port}")) as store:
        store.put("a", b"bytes")
        with store.get("a") as body:
            assert body.read() == b"bytes"
        signed = store.sign_get("a", expires_in=timedelta(hours=1))
        assert urllib3.request("GET", signed.url, headers=dict(signed.headers), retries=False).data == b"bytes"


def test_a_server_that_is_not_there_is_a_named_error(weed: str) -> None:
    patience = Patience(connect=0.5, read=0.5, attempts=2, backoff=0.01)
    wrong = replace(options_for(weed), secret_key="wrong")
    with S3Store("own", options_for("http://127.0.0.1:9", patience=patience)) as nobody, S3Store("own", wrong) as other:
        with pytest.raises(StorageUnavailableError, match="2 attempts"):
            nobody.head("a")
        with pytest.raises(StorageUnavailableError, match="403"):
            other.head("a")
    with S3Store("there-is-none", options_for(weed)) as store:
        with pytest.raises(StorageUnavailableError):
            store.put("a", b"")
        with pytest.raises((StorageUnavailableError, ObjectNotFoundError)):
            store.head("a")


def unfinished(store: S3Store) -> int:
    """Return how many uploads in parts are neither over nor dropped."""
    page = store._client.transport.request("GET", "", query={"uploads": ""})
    return page.data.count(b"<UploadId>")


def raw_keys(store: S3Store) -> list[str]:
    """Return all keys of the bucket, the store's own among them."""
    page = store._client.transport.request("GET", "", query={"list-type": "2"})
    return [piece.split("</Key>")[0] for piece in page.data.decode().split("<Key>")[1:]]
