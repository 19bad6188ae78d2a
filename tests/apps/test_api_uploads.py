"""`/api/uploads`: parts and forms, and what nobody may do with them."""

import hashlib
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from tests.apps.conftest import User
from tests.apps.test_api import stage

PART = 8 << 20  # bytes
BODY = bytes(range(256)) * (PART // 256) + b"the last part"
WANTED: dict[str, object] = {"filename": "a.mp4", "size": len(BODY), "content_type": "video/mp4"}
UPLOADS = "/api/uploads"


def begin(user: User, **more: object) -> dict[str, Any]:
    status, begun = user.post(f"{UPLOADS}/parts", {**WANTED, **more})
    assert status == 201, begun
    return begun


def send(user: User, edge: TestClient[Litestar], upload: str, *numbers: int) -> None:
    _, signed = user.post(f"{UPLOADS}/parts/sign", {"upload": upload, "numbers": list(numbers)})
    for part in signed["parts"]:  # type: ignore[attr-defined]
        body = BODY[(part["number"] - 1) * PART : part["number"] * PART]
        answer = edge.request(part["method"], part["url"], content=body, headers=part["headers"])
        assert answer.status_code in {200, 201}, answer.text


def there(user: User, upload: str) -> object:
    return user.post(f"{UPLOADS}/parts/list", {"upload": upload})[1].get("numbers")


def test_parts_in_any_order_with_a_break_between_become_a_master(ada: User, edge: TestClient[Litestar]) -> None:
    begun = begin(ada)
    upload = begun["upload"]
    assert (begun["count"], begun["part_size"]) == (2, PART)
    send(ada, edge, upload, 2)
    assert there(ada, upload) == [2]
    status, problem = ada.post(f"{UPLOADS}/parts/complete", {"upload": upload})
    assert (status, problem["code"]) == (400, "storage.upload_rejected")
    send(ada, edge, upload, 1, 2)
    for _ in range(2):  # as a client does that lost the first answer
        assert ada.post(f"{UPLOADS}/parts/complete", {"upload": upload}) == (
            200,
            {"asset_id": begun["asset_id"], "size": len(BODY)},
        )
    ada.post("/api/assets", {"asset_id": begun["asset_id"], "filename": "a.mp4", "title": "A film"})
    status, version = ada.post("/api/promote", {"asset_id": begun["asset_id"]})
    assert (status, version["sha256"]) == (200, hashlib.sha256(BODY).hexdigest())


def test_the_same_bytes_are_found_by_their_owner_and_nobody_else(
    ada: User, eve: User, edge: TestClient[Litestar]
) -> None:
    version = ada.post("/api/promote", {"asset_id": stage(ada, edge)})[1]
    digests = [str(version["sha256"]), "0" * 64]

    def found(user: User, sha256: str) -> Any:
        return user.api.get(f"{UPLOADS}/duplicates", params={"sha256": sha256}, headers=user.headers).json()

    assert [[each["id"] for each in found(ada, digest)] for digest in digests] == [[version["id"]], []]
    assert [found(eve, digest) for digest in digests] == [[], []]
    assert found(ada, "A" * 64)["status"] == 400


def test_an_upload_is_its_beginner_s_alone_and_cannot_be_changed(ada: User, eve: User) -> None:
    upload = begin(ada)["upload"]
    for path in ("sign", "list", "complete", "abort"):
        more = {"numbers": [1]} if path == "sign" else {}
        for user, text in ((eve, upload), (ada, upload[:-2] + "AA"), (ada, "made up")):
            assert user.post(f"{UPLOADS}/parts/{path}", {"upload": text, **more})[0] == 400
    assert there(ada, upload) == []


@pytest.mark.parametrize("numbers", [[], [0], [-1], [3], [1] * 101, ["one"]])
def test_only_parts_that_there_are_can_be_signed(ada: User, numbers: list[object]) -> None:
    upload = begin(ada)["upload"]
    assert ada.post(f"{UPLOADS}/parts/sign", {"upload": upload, "numbers": numbers})[0] == 400


def test_an_upload_that_was_given_up_is_gone(ada: User, edge: TestClient[Litestar]) -> None:
    upload = begin(ada)["upload"]
    send(ada, edge, upload, 1)
    for _ in range(2):
        assert ada.api.post(f"{UPLOADS}/parts/abort", json={"upload": upload}, headers=ada.headers).status_code == 204
    assert there(ada, upload) in (None, [])
    assert ada.post(f"{UPLOADS}/parts/complete", {"upload": upload})[0] in {400, 404}


def test_a_form_uploads_one_file(ada: User, edge: TestClient[Litestar]) -> None:
    status, form = ada.post(f"{UPLOADS}/form", {**WANTED, "size": 5})
    assert status == 200, form
    fields: Any = form["fields"]
    file = {"file": ("a.mp4", b"bytes", "video/mp4")}
    assert edge.post(str(form["url"]), data=fields, files=file).status_code == 204
    larger = {"file": ("a.mp4", b"more bytes", "video/mp4")}
    assert edge.post(str(form["url"]), data=fields, files=larger).status_code == 400


def test_a_new_version_is_for_who_may_change_the_asset(ada: User, eve: User, edge: TestClient[Litestar]) -> None:
    begun = begin(ada)
    ada.post("/api/assets", {"asset_id": begun["asset_id"], "filename": "a.mp4", "title": "A film"})
    for path in ("parts", "form"):
        assert eve.post(f"{UPLOADS}/{path}", {**WANTED, "asset_id": begun["asset_id"]})[0] == 404
        assert eve.post(f"{UPLOADS}/{path}", {**WANTED, "size": 1 << 50})[0] == 400
    assert begin(ada, asset_id=begun["asset_id"])["asset_id"] == begun["asset_id"]
