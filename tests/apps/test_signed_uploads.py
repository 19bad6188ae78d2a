"""What a stranger may do with a signed request, on local disk behind the edge and on S3 alike: that, and no more."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from litestar.testing import TestClient
from urllib3.filepost import encode_multipart_formdata

from mamkit.clock import utc_now
from mamkit.storage import (
    Expected,
    InvalidRangeError,
    LocalStore,
    ObjectNotFoundError,
    SignedForm,
    SignedRequest,
    UnboundedUploadError,
    UploadRejectedError,
)
from mamkit.storage.s3 import S3Store
from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.zones import EdgeSigner, url_signer
from tests.s3_servers import emptied, filer_of, options_for, store_on

BODY = b"bytes of a film " * 100
SHA256 = hashlib.sha256(BODY).hexdigest()
KEY, TYPE, HOUR = "uploads/user/asset/original.mp4", "video/mp4", timedelta(hours=1)
PART = 5 * 1024 * 1024
WHOLE = bytes(range(256)) * (PART // 256) + b"the last part"


@dataclass
class Place:
    """A store, the same store two hours ago, and a way to send what it signs; `send` returns the status."""

    store: LocalStore | S3Store
    earlier: LocalStore | S3Store
    send: Callable[..., int]
    checks_content: bool

    def keys(self) -> list[str]:
        return [info.key for info in self.store.list()]


@pytest.fixture(params=["local", "seaweedfs", "ceph"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    def early() -> Any:
        return utc_now() - 2 * HOUR

    if request.param == "local":
        settings = EdgeSettings.load(data_dir=tmp_path)
        signer, root = url_signer(settings), tmp_path / "objects"
        store = LocalStore(root, signer=EdgeSigner("http://edge.test", signer))
        earlier = LocalStore(root, signer=EdgeSigner("http://edge.test", signer, clock=early))
        with TestClient(create_app(settings), base_url="http://edge.test") as client:

            def send(method: str, url: str, body: bytes, headers: dict[str, str]) -> int:
                return client.request(method, url, content=body, headers=headers).status_code

            yield Place(store, earlier, send, checks_content=True)
        return

    endpoint = request.getfixturevalue("weed" if request.param == "seaweedfs" else "ceph")
    bucket = emptied(store_on(endpoint, "signed"), filer_of(endpoint) if request.param == "seaweedfs" else None)

    def send_s3(method: str, url: str, body: bytes, headers: dict[str, str]) -> int:
        return urllib3.request(method, url, body=body, headers=headers, retries=False).status

    yield Place(
        bucket,
        S3Store("signed", options_for(endpoint), clock=early),
        send_s3,
        checks_content=request.param == "seaweedfs",
    )


def put(place: Place, signed: SignedRequest, body: bytes = BODY, *, url: str | None = None, **headers: str) -> int:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return place.send(signed.method, url or signed.url, body, {**signed.headers, **changed})


def sign(place: Place, **more: Any) -> SignedRequest:
    expected = Expected(size=len(BODY), sha256=more.pop("sha256", SHA256))
    return place.store.sign_put(KEY, content_type=TYPE, expected=expected, expires_in=HOUR)


def test_an_upload_is_taken_as_it_was_signed(place: Place) -> None:
    assert put(place, sign(place)) in {200, 201}
    info = place.store.head(KEY)
    assert (info.size, info.content_type) == (len(BODY), TYPE)
    signed = place.store.sign_get(KEY, expires_in=HOUR)
    assert place.send("GET", signed.url, b"", {}) == 200


def test_an_upload_that_is_another_is_refused(place: Place) -> None:
    """Length, type, content, method; a signature that was changed, for another key, or is over. Nothing is stored."""
    signed = sign(place)
    middle = len(signed.url) // 2 if isinstance(place.store, LocalStore) else len(signed.url) - 3
    other = "0" if signed.url[middle] != "0" else "1"
    refused = {
        "longer": put(place, signed, BODY + b"!"),
        "shorter": put(place, signed, BODY[:-1]),
        "empty": put(place, signed, b""),
        "type": put(place, signed, content_type="text/html"),
        "key": put(place, signed, url=signed.url.replace("original.mp4", "another.mp4")),
        "signature": put(place, signed, url=signed.url[:middle] + other + signed.url[middle + 1 :]),
        "method": place.send("GET", signed.url, b"", dict(signed.headers)),
        "deletion": place.send("DELETE", signed.url, b"", dict(signed.headers)),
        "expired": put(
            place,
            place.earlier.sign_put(KEY, content_type=TYPE, expected=Expected(size=len(BODY)), expires_in=HOUR),
        ),
    }
    if place.checks_content:
        refused["content"] = put(place, signed, BODY.replace(b"f", b"F", 1))
    assert {name: status for name, status in refused.items() if status not in range(400, 500)} == {}
    assert place.keys() == []


def test_an_expiry_that_was_moved_is_refused(place: Place) -> None:
    if isinstance(place.store, LocalStore):
        return  # it stands in the token, whose every character the other test changes
    signed = place.earlier.sign_put(KEY, content_type=TYPE, expected=Expected(size=len(BODY)), expires_in=HOUR)
    assert put(place, signed, url=re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=36000", signed.url)) == 403
    assert place.keys() == []


def test_an_upload_in_parts_becomes_an_object_when_it_is_completed(place: Place) -> None:
    """In any order, each part again if need be; and what is there already is known."""
    plan = place.store.begin_parts(KEY, content_type=TYPE, expected=Expected(size=len(WHOLE)), part_size=PART)
    assert (plan.count, plan.size_of(1), plan.size_of(2)) == (2, PART, 13)
    assert place.store.parts_there(plan) == frozenset()
    with pytest.raises(UploadRejectedError):
        place.store.complete_parts(plan)
    for number in (2, 1, 2):
        signed = place.store.sign_part(plan, number, expires_in=HOUR)
        assert put(place, signed, WHOLE[(number - 1) * PART : number * PART]) in {200, 201}
        assert number in place.store.parts_there(plan)
        with pytest.raises(ObjectNotFoundError):
            place.store.head(KEY)
    info = place.store.complete_parts(plan)
    assert (info.key, info.size, info.content_type) == (KEY, len(WHOLE), TYPE)
    with place.store.get(KEY) as body:
        assert body.read() == WHOLE
    assert place.keys() == [KEY]
    with pytest.raises(ObjectNotFoundError):
        place.store.parts_there(plan)


def test_a_part_too_many_or_of_another_size_is_refused(place: Place) -> None:
    plan = place.store.begin_parts(KEY, content_type=TYPE, expected=Expected(size=len(WHOLE)), part_size=PART)
    for number in (0, 3, 10_001):
        with pytest.raises(InvalidRangeError):
            place.store.sign_part(plan, number, expires_in=HOUR)
    with pytest.raises(UnboundedUploadError):
        place.store.sign_part(plan, 1, sha256=SHA256, expires_in=HOUR)
    signed = place.store.sign_part(plan, 2, expires_in=HOUR)
    third = signed.url.replace("partNumber=2", "partNumber=3").replace("/00002", "/00003")
    assert third != signed.url
    last = WHOLE[PART:]
    refused = {
        "number": put(place, signed, last, url=third),
        "longer": put(place, signed, last + b"!"),
        "shorter": put(place, signed, last[:-1]),
        "whole": put(place, signed, WHOLE),
    }
    assert {name: status for name, status in refused.items() if status not in range(400, 500)} == {}
    assert place.store.parts_there(plan) == frozenset()
    place.store.abort_parts(plan)
    place.store.abort_parts(plan)
    assert place.keys() == []


def test_a_part_of_another_content_is_refused(place: Place) -> None:
    plan = place.store.begin_parts(
        KEY, content_type=TYPE, expected=Expected(size=len(WHOLE)), part_size=PART, checksums=True
    )
    digest = hashlib.sha256(WHOLE[PART:]).hexdigest()
    signed = place.store.sign_part(plan, 2, sha256=digest, expires_in=HOUR)
    if place.checks_content:
        assert put(place, signed, b"THE last part") in range(400, 500)
        assert place.store.parts_there(plan) == frozenset()
    assert put(place, signed, WHOLE[PART:]) in {200, 201}
    assert place.store.parts_there(plan) == {2}
    with pytest.raises(UnboundedUploadError):
        place.store.sign_part(plan, 1, expires_in=HOUR)
    place.store.abort_parts(plan)


def test_parts_that_are_not_the_whole_that_was_announced_are_refused(place: Place) -> None:
    """On local disk when they are completed, and the upload goes on; S3 leaves that to whoever promotes it."""
    expected = Expected(size=len(WHOLE), sha256=hashlib.sha256(WHOLE).hexdigest())
    plan = place.store.begin_parts(KEY, content_type=TYPE, expected=expected, part_size=PART)
    assert plan.sha256 == expected.sha256
    if not isinstance(place.store, LocalStore):
        place.store.abort_parts(plan)
        return
    for body in (WHOLE[::-1], WHOLE):
        for number in (1, 2):
            signed = place.store.sign_part(plan, number, expires_in=HOUR)
            assert put(place, signed, body[(number - 1) * PART : number * PART]) in {200, 201}
        if body != WHOLE:
            with pytest.raises(UploadRejectedError) as raised:
                place.store.complete_parts(plan)
            assert raised.value.what == "sha256"
            with pytest.raises(ObjectNotFoundError):
                place.store.head(KEY)
    assert place.store.complete_parts(plan).sha256 == expected.sha256


def test_a_form_writes_what_it_was_signed_for(place: Place) -> None:
    """With this type and size, under this key, until it is over; anything else is refused and leaves nothing."""
    form = place.store.sign_form(KEY, content_type=TYPE, expected=Expected(size=len(BODY)), expires_in=HOUR)
    late = place.earlier.sign_form(KEY, content_type=TYPE, expected=Expected(size=len(BODY)), expires_in=HOUR)
    secret = form.url.split("/s/")[-1].split("/")[0] if isinstance(place.store, LocalStore) else form.fields["policy"]
    assert secret not in repr(form)

    def post(body: bytes, form: SignedForm = form, *, url: str | None = None, **changed: str) -> int:
        data = {**form.fields, **{name.replace("_", "-"): value for name, value in changed.items()}}
        encoded, kind = encode_multipart_formdata({**data, "file": ("a.mp4", body, TYPE)})
        return place.send("POST", url or form.url, encoded, {"content-type": kind})

    refused = {
        "longer": post(BODY + b"!"),
        "shorter": post(BODY[:-1]),
        "type": post(BODY, content_type="text/html"),
        "expired": post(BODY, late),
    }
    if isinstance(place.store, LocalStore):  # the key and the signature stand in the URL
        token = form.url.removesuffix(f"/{KEY}")
        changed = token[:-3] + ("00" if token[-3:-1] != "00" else "11") + token[-1]
        refused["key"] = post(BODY, url=form.url.replace("original.mp4", "another.mp4"))
        refused["signature"] = post(BODY, url=f"{changed}/{KEY}")
    else:
        refused["key"] = post(BODY, key="uploads/another.mp4")
        refused["signature"] = post(BODY, x_amz_signature="0" * 64)
    assert {name: status for name, status in refused.items() if status not in range(400, 500)} == {}
    assert place.keys() == []
    assert post(BODY) == 204
    assert place.store.head(KEY).content_type == TYPE
    with pytest.raises(UnboundedUploadError):
        place.store.sign_form(KEY, content_type=TYPE, expected=Expected(), expires_in=HOUR)
