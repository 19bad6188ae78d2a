"""What holds for every answer of the API: ids, logs without secrets, careful headers, limits, tags, compression."""

import gzip
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog

from mamkit_apps.api.wiring import Parts
from mamkit_apps.limits import Meter, Taken
from mamkit_apps.logs import configure
from tests.apps.api_process import running_api
from tests.apps.people import PASSWORD, Person, Site, open_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), api_origins="https://pages.example") as site:
        yield site


@pytest.fixture(scope="module")
def ada(site: Site) -> Person:
    return site.person()


def get(person: Person, path: str, **headers: str) -> Any:
    bearer = {"authorization": f"Bearer {person.access}"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return person.site.client.get(path, headers=bearer | named)


def an_asset(person: Person) -> str:
    presigned = person.call("POST", "/api/presign", {"filename": "a.mp4", "size": 5}).json()
    body = {"asset_id": presigned["asset_id"], "filename": "a.mp4", "title": "A film"}
    assert person.call("POST", "/api/assets", body).status_code == 201
    return str(presigned["asset_id"])


class TestRequestIds:
    def test_a_safe_one_is_taken_over_and_any_other_replaced(self, site: Site) -> None:
        for given, kept in (("abc-123.DEF_456", True), ("short", False), ("x" * 65, False), ('a"b\\c{}<>', False)):
            answer = site.client.get("/healthz", headers={"x-request-id": given})
            assert (answer.headers["x-request-id"] == given) is kept
            assert len(answer.headers["x-request-id"]) >= 8

    @pytest.mark.parametrize("path", ["/auth/me", "/nowhere", "/api/assets?limit=0"])
    def test_a_problem_names_it(self, site: Site, path: str) -> None:
        answer = site.client.get(path, headers={"x-request-id": "look-for-me"})
        assert answer.status_code >= 400
        assert answer.json()["request_id"] == answer.headers["x-request-id"] == "look-for-me"


class TestHeaders:
    def test_every_answer_keeps_browsers_careful(self, site: Site) -> None:
        for path in ("/healthz", "/auth/me", "/nowhere", "/schema/openapi.json"):
            headers = site.client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["strict-transport-security"].startswith("max-age=31536000")
        assert "default-src 'none'" in site.client.get("/auth/me").headers["content-security-policy"]

    def test_names_below_ours_are_spoken_for_only_if_the_operator_says_so(self, site: Site, tmp_path: Path) -> None:
        assert site.client.get("/healthz").headers["strict-transport-security"] == "max-age=31536000"
        with open_site(tmp_path, hsts_subdomains=True) as other:
            header = other.client.get("/healthz").headers["strict-transport-security"]
        assert header == "max-age=31536000; includeSubDomains"

    def test_an_answer_with_tokens_is_kept_by_no_cache(self, site: Site, ada: Person) -> None:
        answer = site.call("POST", "/auth/login", {"email": ada.email, "password": PASSWORD})
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(("origin", "allowed"), [("https://pages.example", True), ("https://evil.example", False)])
    def test_only_named_origins_may_read(self, site: Site, origin: str, allowed: bool) -> None:
        asking = {"origin": origin, "access-control-request-method": "GET"}
        preflight = site.client.options("/auth/me", headers=asking)
        answer = site.client.get("/auth/providers", headers={"origin": origin})
        for headers in (preflight.headers, answer.headers):
            assert (headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in headers

    def test_a_body_beyond_the_bound_is_413(self, site: Site, ada: Person) -> None:
        answer = ada.call("POST", "/api/presign", {"filename": "a" * (2 << 20), "size": 5})
        assert answer.status_code == 413


MARKUP = """"><script>alert(1)</script><img src=x onerror='alert(1)'>"""


def test_attack_markup_in_every_field_is_shown_as_a_page_by_no_answer(site: Site) -> None:
    """What people write is data: no browser that comes upon it by itself takes it for a page."""
    eve = site.person()
    given = {"filename": f"{MARKUP[:40]}.mp4", "size": 5}
    asset = eve.call("POST", "/api/presign", given).json()["asset_id"]
    place = f"/api/assets/{asset}"
    for method, path, body in (
        ("POST", "/api/assets", {"asset_id": asset, "filename": given["filename"], "title": MARKUP}),
        ("POST", f"{place}/comments", {"content": MARKUP, "start_seconds": 1}),
        ("POST", "/api/collections", {"name": MARKUP}),
        ("POST", "/api/workspaces", {"name": MARKUP}),
        ("POST", "/auth/api-keys", {"name": MARKUP, "scopes": ["asset.read"]}),
    ):
        assert eve.call(method, path, body).status_code in {200, 201}, path
    words = {"description": MARKUP, "fields": {"by": MARKUP}, "tags": [MARKUP]}
    bearer = {"authorization": f"Bearer {eve.access}", "if-match": get(eve, place).headers["etag"]}
    assert site.client.patch(place, json=words, headers=bearer).status_code == 200
    exports = [f"{place}/comments/export?format={name}" for name in ("csv", "edl", "fcpxml", "premiere")]
    pages = ["/api/assets", place, f"{place}/comments", "/api/collections", "/api/workspaces", "/auth/api-keys"]
    refused = [f"/api/assets?q={MARKUP}&after={MARKUP}", f"/api/{MARKUP}", f"/api/assets?sort={MARKUP}"]
    for path in pages + exports + refused:
        answer = get(eve, path)
        data = answer.headers["content-type"].partition(";")[0] in {"application/json", "application/problem+json"}
        assert data or answer.headers["content-disposition"].startswith("attachment;"), path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        assert path in refused or "alert(1)" in answer.text, "the attack is in the answer"
        assert "html" not in answer.headers["content-type"]


class TestTags:
    def test_what_has_not_changed_is_not_sent_again(self, ada: Person) -> None:
        first = get(ada, "/auth/me")
        again = get(ada, "/auth/me", if_none_match=f'"other", W/{first.headers["etag"]}')
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert get(ada, "/auth/me", if_none_match='"other"').status_code == 200
        assert first.headers["cache-control"] == "private, no-cache"

    def test_a_long_answer_is_compressed_for_who_reads_gzip_and_its_tag_is_another(self, site: Site) -> None:
        plain = site.client.get("/schema/openapi.json", headers={"accept-encoding": "identity"})
        with site.client.stream("GET", "/schema/openapi.json", headers={"accept-encoding": "gzip"}) as answer:
            packed = b"".join(answer.iter_raw())
            assert answer.headers["content-encoding"] == "gzip"
            tag = answer.headers["etag"]
        assert gzip.decompress(packed) == plain.content
        assert len(packed) < len(plain.content) / 4
        assert tag == plain.headers["etag"][:-1] + '-gzip"'
        for asked in ("gzip;q=0", "br", "*;q=0", "gzip;q=0.0"):
            assert (
                "content-encoding"
                not in site.client.get("/schema/openapi.json", headers={"accept-encoding": asked}).headers
            )
        assert site.client.get("/schema/openapi.json", headers={"if-none-match": tag}).status_code == 304

    def test_of_two_changes_of_one_state_one_is_refused(self, ada: Person) -> None:
        path = f"/api/assets/{an_asset(ada)}"
        tag = get(ada, path).headers["etag"]

        def change(title: str, **headers: str) -> Any:
            bearer = {"authorization": f"Bearer {ada.access}"}
            return ada.site.client.patch(path, json={"title": title}, headers=bearer | headers)

        assert change("Blind").status_code == 428
        first, second = change("First", **{"if-match": tag}), change("Second", **{"if-match": tag})
        assert (first.status_code, second.status_code, second.json()["code"]) == (200, 412, "apps.state_changed")
        assert get(ada, path).json()["title"] == "First"
        assert get(ada, path).headers["etag"] == first.headers["etag"] != tag
        assert change("Any", **{"if-match": "*"}).status_code == 200
        assert change("Any", **{"if-match": f'W/"x", {get(ada, path).headers["etag"]}'}).status_code == 200


class TestLimits:
    def test_each_share_is_its_own_and_every_answer_says_what_is_left(self, tmp_path: Path) -> None:
        with open_site(tmp_path, api_rate_per_user=0.5, api_rate_per_key=0.3, api_rate_per_address=0.3) as site:
            ada, eve = site.person(), site.person()
            key = ada.call("POST", "/auth/api-keys", {"name": "a", "scopes": ["asset.read"]}).json()["api_key"]
            answers = [get(ada, "/auth/me") for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 4 + [429]
            assert answers[0].headers["ratelimit-policy"] == '"user";q=5;w=10'
            assert answers[0].headers["ratelimit"].startswith('"user";r=3;t=')
            refused = answers[-1]
            assert refused.json()["code"] == "apps.limit_reached"
            assert 1 <= int(refused.headers["retry-after"]) <= 2
            assert '"user";r=0' in refused.headers["ratelimit"]
            assert get(eve, "/auth/me").status_code == 200
            shares = [site.call("GET", "/api/assets", token=key).headers["ratelimit"][:9] for _ in range(2)]
            assert shares == ['"address"', '"key";r=2'], "a key has a share of its own once it was found good"
            strangers = [site.call("GET", "/auth/providers").status_code for _ in range(3)]
            assert strangers == [200, 200, 429]
            assert site.client.get("/healthz").status_code == 200, "whoever watches the process is not counted"

    def test_a_made_up_login_takes_nothing_from_its_owner(self, tmp_path: Path) -> None:
        with open_site(tmp_path, api_rate_per_key=0.2, api_rate_per_address=50) as site:
            ada = site.person()
            key = ada.call("POST", "/auth/api-keys", {"name": "a", "scopes": ["asset.read"]}).json()["api_key"]
            assert site.call("GET", "/api/assets", token=key).status_code == 200
            for number in range(5):
                answer = site.call("GET", "/api/assets", token=key[:-4] + f"AAA{number}")
                assert answer.headers["ratelimit"].startswith('"address"'), "nor does each have a share of its own"
            assert site.call("GET", "/api/assets", token=key).status_code == 200

    def test_when_the_shared_count_fails_reading_goes_on_and_logging_in_does_not(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            async def take(self, name: str, rate: float) -> Taken:
                raise ConnectionError

        with open_site(tmp_path, api_rate_per_user=20, api_rate_login=5) as site:
            ada = site.person()
            object.__setattr__(site.parts, "meter", Meter(Broken()))
            assert get(ada, "/auth/me").status_code == 200
            answer = site.call("POST", "/auth/login", {"email": ada.email, "password": PASSWORD})
            assert (answer.status_code, answer.json()["code"]) == (503, "apps.limits_unavailable")

    def test_what_a_client_writes_into_x_forwarded_for_changes_nothing(self, tmp_path: Path) -> None:
        """Of a real process: servers of Python believe whatever is connected from this machine, if they are let."""
        hops = [{"x-forwarded-for": address} for address in ("192.0.2.1", "192.0.2.2")]
        with running_api(tmp_path, API_RATE_PER_ADDRESS="0.1") as [api]:
            assert [httpx.get(f"{api.url}/auth/providers", headers=each).status_code for each in hops] == [200, 429]


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_log_says_who_did_what_and_holds_no_secret(form: Any, tmp_path: Path) -> None:
    """Every secret that was used anywhere in these requests is looked for in every line."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    try:
        configure(form)
        for handler in logging.getLogger().handlers:
            handler.setStream(stream)  # type: ignore[attr-defined]
        with open_site(tmp_path) as site:
            secrets = _use_everything(site)
            logging.getLogger("careless").info("Authorization: Bearer %s", secrets["access token"])
            logging.getLogger("careless").warning("redis://:%s@host/0?token=%s", "hunter2hunter2", secrets["refresh"])
    finally:
        logging.getLogger().handlers[:] = before
        structlog.reset_defaults()
    text = stream.getvalue()
    assert "request" in text
    assert "hunter2" not in text
    for name, secret in secrets.items():
        assert secret not in text, name
    if form == "json":
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        asset = next(line for line in lines if line.get("route", "").startswith("/api/assets/{"))
        assert {"request_id", "user_id", "asset_id", "status", "milliseconds", "method"} <= asset.keys()
        assert any(line.get("status") == 500 and line.get("request_id") for line in lines)
        failure = next(line for line in lines if "exception" in line)
        assert failure["request_id"]


def _use_everything(site: Site) -> dict[str, str]:
    """Send requests with secrets in all places where requests have them; return the secrets."""
    ada = site.person()
    key = ada.call("POST", "/auth/api-keys", {"name": "a", "scopes": ["asset.read"]}).json()["api_key"]
    secrets = {"password": PASSWORD, "access token": ada.access, "refresh": ada.refresh, "API key": key}
    get(ada, f"/api/assets/{an_asset(ada)}")
    site.call("GET", "/api/assets", token=key)
    site.call("GET", "/api/assets", token="eyJhbGciOiJIUzI1NiJ9.e30.made-up-signature")
    site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh})
    site.call("POST", "/auth/login", {"email": ada.email, "password": "a wrong password that is long"})
    site.call("GET", "/auth/providers/nobody/callback?code=a-secret-code&state=a-secret-state")
    presigned = ada.call("POST", "/api/presign", {"filename": "b.mp4", "size": 5}).json()
    secrets |= {"upload token": presigned["url"].split("/s/")[1].split("/")[0], "code": "a-secret-code"}
    secrets |= {"state": "a-secret-state", "wrong password": "a wrong password that is long"}
    secrets |= {"made-up token": "made-up-signature"}
    _break(site.parts)
    assert site.client.get("/auth/me", headers={"authorization": f"Bearer {ada.access}"}).status_code == 500
    return secrets


def _break(parts: Parts) -> None:
    """Have the catalog fail in a way that nobody has thought of, with a secret in the message."""

    def fail() -> None:
        raise ZeroDivisionError(f"Bearer {uuid4().hex}")

    object.__setattr__(
        parts, "catalog", type("Broken", (), {"read": staticmethod(fail), "close": parts.catalog.close})()
    )
