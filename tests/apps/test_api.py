"""The API: accounts, uploads and previews, and what each of them refuses."""

import hashlib
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from mamkit.signing import WebhookSigner
from mamkit_apps.api.settings import ApiSettings
from tests.apps.conftest import PASSWORD, User

BODY = b"not a film at all" * 100


def stage(user: User, edge: TestClient[Litestar], body: bytes = BODY, name: str = "a.mp4") -> str:
    """Presign, upload and record; return the asset's id."""
    status, presigned = user.post("/api/presign", {"filename": name, "size": len(body), "content_type": "video/mp4"})
    assert status == 200, presigned
    answer = edge.request(
        str(presigned["method"]),
        str(presigned["url"]),
        content=body,
        headers=presigned["headers"],  # type: ignore[arg-type]
    )
    assert answer.status_code == 201, answer.text
    asset_id = str(presigned["asset_id"])
    status, _ = user.post("/api/assets", {"asset_id": asset_id, "filename": name, "title": "A film"})
    assert status == 201
    return asset_id


class TestAccounts:
    def test_whoever_is_logged_in_is_told_who_they_are(self, ada: User) -> None:
        status, me = ada.get("/auth/me")
        assert (status, me["email"], me["roles"]) == (200, "ada@example.com", ["editor"])

    def test_registration_is_closed_unless_the_operator_opens_it(self, data_dir: Path) -> None:
        assert ApiSettings.load(data_dir=data_dir).registration == "closed"

    def test_an_address_registers_once_whatever_its_case(self, api: TestClient[Litestar], ada: User) -> None:
        answer = api.post("/auth/register", json={"email": "ADA@Example.com", "password": PASSWORD})
        assert answer.status_code == 409

    @pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "x" * 100_000])
    def test_a_password_that_is_weak_or_huge_is_refused_with_a_reason(
        self, api: TestClient[Litestar], password: str
    ) -> None:
        answer = api.post("/auth/register", json={"email": "a@b.example", "password": password})
        assert answer.status_code == 400
        assert password[:20] not in answer.text or len(password) < 10

    def test_unknown_user_and_wrong_password_say_the_same(self, api: TestClient[Litestar], ada: User) -> None:
        unknown = api.post("/auth/login", json={"email": "nobody@example.com", "password": PASSWORD})
        wrong = api.post("/auth/login", json={"email": ada.email, "password": "not the password"})
        assert unknown.status_code == wrong.status_code == 401
        said = [answer.json() | {"request_id": ""} for answer in (unknown, wrong)]
        assert said[0] == said[1]

    def test_refresh_gives_the_next_token_and_parallel_ones_the_same(
        self, api: TestClient[Litestar], ada: User
    ) -> None:
        body = {"refresh_token": ada.tokens["refresh_token"]}
        first, second = (api.post("/auth/refresh", json=body) for _ in range(2))
        assert first.status_code == second.status_code == 200
        assert first.json()["refresh_token"] == second.json()["refresh_token"] != ada.tokens["refresh_token"]

    def test_after_logout_the_session_cannot_be_refreshed(self, api: TestClient[Litestar], ada: User) -> None:
        body = {"refresh_token": ada.tokens["refresh_token"]}
        assert api.post("/auth/logout", json=body).status_code == 204
        assert api.post("/auth/refresh", json=body).status_code == 401

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic YTpi", "Bearer " + "a" * 10_000])
    def test_without_a_valid_token_nothing_is_served(self, api: TestClient[Litestar], header: str) -> None:
        answer = api.get("/auth/me", headers={"authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_a_refresh_token_is_no_access_token(self, api: TestClient[Litestar], ada: User) -> None:
        answer = api.get("/auth/me", headers={"authorization": f"Bearer {ada.tokens['refresh_token']}"})
        assert answer.status_code == 401


class TestProblems:
    def test_errors_are_problem_documents_with_the_library_s_code(self, ada: User) -> None:
        answer = ada.api.get(f"/api/assets/{uuid4()}", headers=ada.headers)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"].startswith("catalog.")
        assert answer.json()["status"] == 404

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"filename": "a.mp4"},
            {"filename": "a.mp4", "size": 0},
            {"filename": "a.mp4", "size": -5},
            {"filename": "a.mp4", "size": "many"},
            {"filename": "", "size": 5},
            {"filename": "a.mp4", "size": 5, "sha256": "xyz"},
            {"filename": "a.mp4", "size": 5, "content_type": "video/mp4\r\nx: y"},
            {"filename": "a.mp4", "size": 5, "surprise": 1},
            {"filename": "a.mp4", "size": 1 << 60},
        ],
    )
    def test_a_bad_body_is_400_and_says_what_is_wrong(self, ada: User, body: dict[str, object]) -> None:
        status, problem = ada.post("/api/presign", body)
        assert status == 400, problem
        assert problem["code"] in {"http.bad_request", "apps.invalid_request"}

    def test_a_body_that_is_not_json_or_too_large_is_refused(self, ada: User) -> None:
        headers = ada.headers | {"content-type": "application/json"}
        assert ada.api.post("/api/presign", content=b"{", headers=headers).status_code == 400
        assert ada.api.post("/api/presign", content=b"x" * (9 << 20), headers=headers).status_code == 413

    def test_health_names_each_dependency(self, api: TestClient[Litestar]) -> None:
        answer = api.get("/api/health")
        assert answer.status_code == 200
        assert {name: check["status"] for name, check in answer.json()["checks"].items()} == {
            "database": "ok",
            "queue": "ok",
            "storage": "ok",
        }


class TestUploads:
    def test_the_bytes_go_to_the_edge_and_not_to_the_api(self, ada: User) -> None:
        status, presigned = ada.post("/api/presign", {"filename": "a.mp4", "size": 5})
        assert status == 200
        assert str(presigned["url"]).startswith("http://edge.test/s/")
        assert presigned["method"] == "PUT"

    def test_a_hostile_file_name_leaves_no_trace_in_the_key(self, ada: User) -> None:
        for name in ("../../etc/passwd", "a.mp4/../../x", "shell; $(touch PWNED).mp4", "x.\u202emp4", "a." + "x" * 99):
            status, presigned = ada.post("/api/presign", {"filename": name, "size": 5})
            assert status == 200
            key = str(presigned["staging_key"])
            assert key.rpartition("/")[2] in {"original.bin", "original.mp4"}
            assert key.count("/") == 3

    def test_nobody_records_another_user_s_upload(self, ada: User, eve: User, edge: TestClient[Litestar]) -> None:
        _, presigned = ada.post("/api/presign", {"filename": "a.mp4", "size": 3, "content_type": "video/mp4"})
        edge.put(str(presigned["url"]), content=b"abc", headers={"content-type": "video/mp4"})
        asset_id = presigned["asset_id"]
        status, _ = eve.post("/api/assets", {"asset_id": asset_id, "filename": "a.mp4", "title": "mine now"})
        if status == 201:  # she may record an asset of that id, but it has her own, empty staging key
            status, _ = eve.post("/api/promote", {"asset_id": asset_id})
        assert status in {403, 409}

    def test_recording_twice_is_one_asset(self, ada: User, edge: TestClient[Litestar]) -> None:
        asset_id = stage(ada, edge)
        status, asset = ada.post("/api/assets", {"asset_id": asset_id, "filename": "a.mp4", "title": "Again"})
        assert (status, asset["title"]) == (201, "A film")
        assert len(ada.get("/api/assets")[1]["items"]) == 1  # type: ignore[arg-type]

    def test_promoting_twice_is_one_version(self, ada: User, edge: TestClient[Litestar]) -> None:
        asset_id = stage(ada, edge)
        digest = hashlib.sha256(BODY).hexdigest()
        first = ada.post("/api/promote", {"asset_id": asset_id, "sha256": digest})
        second = ada.post("/api/promote", {"asset_id": asset_id, "sha256": digest})
        third = ada.post("/api/promote", {"asset_id": asset_id})
        assert first[0] == second[0] == third[0] == 200
        assert first[1]["id"] == second[1]["id"] == third[1]["id"]
        assert (first[1]["sha256"], first[1]["number"]) == (digest, 1)

    def test_a_wrong_digest_is_refused_and_the_upload_stays(self, ada: User, edge: TestClient[Litestar]) -> None:
        asset_id = stage(ada, edge)
        status, problem = ada.post("/api/promote", {"asset_id": asset_id, "sha256": "0" * 64})
        assert (status, problem["code"]) == (400, "storage.upload_rejected")
        assert ada.post("/api/promote", {"asset_id": asset_id})[0] == 200

    def test_promoting_what_was_never_uploaded_says_so(self, ada: User) -> None:
        _, presigned = ada.post("/api/presign", {"filename": "a.mp4", "size": 5})
        body = {"asset_id": presigned["asset_id"], "filename": "a.mp4", "title": "x"}
        assert ada.post("/api/assets", body)[0] == 201
        status, problem = ada.post("/api/promote", {"asset_id": presigned["asset_id"]})
        assert (status, problem["code"]) == (409, "previews.staged_upload_missing")

    def test_only_the_owner_promotes(self, ada: User, eve: User, edge: TestClient[Litestar]) -> None:
        asset_id = stage(ada, edge)
        assert eve.post("/api/promote", {"asset_id": asset_id})[0] == 404

    def test_pages_of_assets_follow_each_other(self, ada: User, edge: TestClient[Litestar]) -> None:
        made = [stage(ada, edge) for _ in range(5)]
        seen: list[str] = []
        after: object = None
        while True:
            params = {"limit": 2} if after is None else {"limit": 2, "after": after}
            _, page = ada.get("/api/assets", **params)
            seen += [item["id"] for item in page["items"]]  # type: ignore[attr-defined]
            after = page["next"]
            if after is None:
                break
        assert seen == made[::-1]


class TestPreviews:
    @pytest.fixture
    def version(self, ada: User, edge: TestClient[Litestar]) -> str:
        status, version = ada.post("/api/promote", {"asset_id": stage(ada, edge)})
        assert status == 200, version
        return str(version["id"])

    def test_a_new_version_waits_for_a_worker(self, ada: User, version: str) -> None:
        status, preview = ada.get("/api/preview/status", version_id=version)
        assert (status, preview["status"], preview["progress"]) == (200, "queued", 0.0)

    def test_what_cannot_be_played_yet_is_not_signed(self, ada: User, version: str) -> None:
        status, problem = ada.post("/api/sign-preview", {"version_id": version})
        assert status == 400
        assert "queued" in str(problem["detail"])

    @pytest.mark.parametrize("seconds", [1, 59, 3601, 10**12])
    def test_lifetimes_outside_the_service_s_bounds_are_refused(self, ada: User, version: str, seconds: int) -> None:
        status, problem = ada.post("/api/sign-preview", {"version_id": version, "lifetime_seconds": seconds})
        assert status == 400
        assert "60" in str(problem["detail"])

    def test_a_report_without_a_valid_signature_is_refused(
        self, api: TestClient[Litestar], version: str, data_dir: Path
    ) -> None:
        body = (
            f'{{"type": "failed", "version_id": "{version}", "job_id": "{uuid4()}", "fence": 1, '
            '"code": "x.y", "message": "gone"}'
        ).encode()
        headers = {"content-type": "application/json"}
        assert api.post("/api/preview/callback", content=body, headers=headers).status_code == 403
        forged = WebhookSigner(b"another secret of thirty-two bytes!").sign("msg-1", body)
        assert api.post("/api/preview/callback", content=body, headers=headers | forged).status_code == 403

    def test_a_report_under_an_old_lease_changes_nothing(
        self, api: TestClient[Litestar], ada: User, version: str, data_dir: Path
    ) -> None:
        secret = ApiSettings.load(data_dir=data_dir).secret("callback_secret").get_secret_value().encode()
        body = (
            f'{{"type": "failed", "version_id": "{version}", "job_id": "{UUID(int=1)}", "fence": 1, '
            '"code": "x.y", "message": "gone"}'
        ).encode()
        headers = WebhookSigner(secret).sign("msg-1", body) | {"content-type": "application/json"}
        answer = api.post("/api/preview/callback", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "previews.stale_report")
        again = api.post("/api/preview/callback", content=body, headers=headers)
        assert (again.status_code, again.json()["code"]) == (403, "signing.webhook_replayed")
        assert ada.get("/api/preview/status", version_id=version)[1]["status"] == "queued"

    def test_a_signed_report_that_is_no_report_is_400(
        self, api: TestClient[Litestar], version: str, data_dir: Path
    ) -> None:
        secret = ApiSettings.load(data_dir=data_dir).secret("callback_secret").get_secret_value().encode()
        headers = WebhookSigner(secret).sign("msg-2", b"[]") | {"content-type": "application/json"}
        assert api.post("/api/preview/callback", content=b"[]", headers=headers).status_code == 400
