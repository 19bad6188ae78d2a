"""Share links: whoever has one sees what is shared, may do what it is for, and gets nowhere else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mamkit import catalog as db
from mamkit.auth.share_tokens import new_share_token
from mamkit.clock import utc_now
from mamkit_apps.api.callers.visitors import PASS_LIFETIME
from tests.apps.people import Site, open_site
from tests.apps.route_table import TABLE
from tests.servers.postgres import Postgres

PASSWORD = "1234"  # short, as people read them out


class Studio:
    """A site with somebody who shares, what they share, and what lies beside it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ada = site.person(display_name="Ada")
        self.ada_id = self.ada.id
        self.film, self.other = self.asset("Film"), self.asset("Other")
        self.versions = [self.version(self.film, number) for number in (1, 2)]
        self.foreign_version = self.version(self.other, 1)

    def run(self, do: Any) -> Any:
        async def in_one() -> Any:
            async with self.site.parts.catalog.begin() as session:
                return await do(session)

        assert self.site.client.blocking_portal is not None
        return self.site.client.blocking_portal.call(in_one)

    def asset(self, title: str) -> str:
        key = str(uuid4())
        made = self.run(lambda s: db.create_asset(s, user_id=UUID(self.ada_id), title=title, staging_key=key))
        return str(made.id)

    def version(self, asset_id: str, number: int) -> str:
        async def add(session: Any) -> str:
            version = await db.add_version(
                session,
                asset_id=UUID(asset_id),
                master_key=f"masters/{asset_id}/v{number}/original.mp4",
                preview_prefix=f"previews/{asset_id}/{number}/",
                size=5,
                sha256=str(number) * 64,
                facts={"duration": str(number), "video": [{"codec": "h264", "width": 100 * number, "height": 9}]},
            )
            preview = await db.create_preview(session, version.id)
            for status in ("building", "ready"):
                await db.set_status(session, preview, status)
            await db.set_facts(session, version, version.facts or {})
            return str(version.id)

        return str(self.run(add))

    def link(self, **what: Any) -> "Guest":
        what = what or {"asset_id": self.film}
        answer = self.ada.call("POST", "/api/share-links", what)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        return Guest(self.site, answer.json())

    def collection(self, *assets: str, **more: Any) -> str:
        made = self.ada.call("POST", "/api/collections", {"name": "Picks", **more}).json()["id"]
        for asset in assets:
            assert self.ada.call("PUT", f"/api/collections/{made}/assets/{asset}", {}).status_code == 204
        return str(made)


class Guest:
    """Somebody with the token of a link."""

    def __init__(self, site: Site, made: dict[str, Any]) -> None:
        self.site = site
        self.made = made
        self.token = str(made["token"])
        self.path = f"/api/share-links/{made['record']['id']}"
        self.headers = {"authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str = "", body: object = None) -> Any:
        return self.site.client.request(method, f"/api/shared{path}", json=body, headers=self.headers)

    def status(self, method: str = "GET", path: str = "", body: object = None) -> int:
        return int(self.call(method, path, body).status_code)

    def unlock(self, password: str = PASSWORD) -> Any:
        answer = self.call("POST", "/unlock", {"password": password})
        if answer.status_code == HTTPStatus.OK:
            self.headers["share-pass"] = answer.json()["share_pass"]
        return answer

    def titles(self, query: str = "") -> list[str]:
        answer = self.call("GET", f"/assets{query}")
        assert answer.status_code == HTTPStatus.OK, answer.text
        return [item["title"] for item in answer.json()["items"]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    more: dict[str, object] = {}
    if request.param == "postgresql":  # of somebody who is no superuser, so that its policies hold
        postgres: Postgres = request.getfixturevalue("postgres")
        more["database_url"] = postgres.new_database(role="tenant")
        for name in ("edge_signing_key", "jwt_secret", "session_secret", "callback_secret", "sealing_keys"):
            more[name] = name.ljust(64, "x")
    with open_site(tmp_path_factory.mktemp("site"), **more) as site:
        yield site


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def studio(site: Site) -> Studio:
    """On both databases: what they enforce."""
    return Studio(site)


@pytest.fixture
def small(small_site: Site) -> Studio:
    """On SQLite: what is the API's alone."""
    return Studio(small_site)


def test_a_visitor_sees_one_asset_and_no_way_to_another(studio: Studio) -> None:
    guest = studio.link(asset_id=studio.film, rights=["comment", "download"])
    assert guest.made["url"].endswith(f"/shared#token={guest.token}")
    assert guest.call("GET").json()["title"] == "Film"
    assert guest.titles() == ["Film"]
    answer = guest.call("GET", f"/assets/{studio.film}")
    for secret in (studio.ada.email, studio.ada_id, "workspace", "staging", "fields", "masters/"):
        assert secret not in answer.text
    for elsewhere in (studio.other, str(uuid4()), studio.versions[0]):
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/artwork", None),
            ("GET", "/captions", None),
            ("GET", "/comments", None),
            ("POST", "/comments", {"content": "x", "name": "Eve"}),
            ("POST", "/sign-preview", {}),
            ("POST", "/sign-download", {}),
        ):
            assert guest.status(method, f"/assets/{elsewhere}{path}", body) == HTTPStatus.NOT_FOUND


def test_a_token_of_a_link_opens_no_route_of_users_and_a_login_none_of_visitors(small: Studio) -> None:
    """Every route there is, but those that ask nobody who they are."""
    guest = small.link(asset_id=small.film, rights=["comment", "download"])
    things = {"asset_id": small.film, "version_id": small.versions[0], "workspace_id": small.ada_id}
    for route, row in TABLE.items():
        if row.statuses[0] != HTTPStatus.UNAUTHORIZED:
            continue
        method, _, path = route.partition(" ")
        names = {"name": "none", "role": "viewer", **dict.fromkeys(NAMES, uuid4()), **things}
        token = small.ada.access if path.startswith("/api/shared") else guest.token
        body: dict[str, object] | None = {} if method in {"POST", "PUT", "PATCH"} else None
        answer = small.site.call(method, path.format(**names) + row.query.format(**names), body, token)
        assert answer.status_code in {400, 401}, route
        assert answer.status_code == 401 or body is not None, route


NAMES = (
    "session_id", "passkey_id", "key_id", "identity_id", "user_id", "comment_id", "collection_id", "link_id",
    "webhook_id", "delivery_id", "job_id", "import_id",
)  # fmt: skip


def test_what_a_link_is_not_for_is_refused(small: Studio) -> None:
    film = f"/assets/{small.film}"
    for rights, comments, download in (([], 403, 403), (["comment"], 200, 403), (["download"], 403, 200)):
        guest = small.link(asset_id=small.film, rights=rights)
        assert guest.status("GET", f"{film}/comments") == comments
        said = guest.status("POST", f"{film}/comments", {"content": "x", "name": "Eve"})
        assert said == (201 if comments == 200 else 403)
        assert guest.status("POST", f"{film}/sign-download", {}) == download
        assert guest.status("POST", f"{film}/sign-preview", {}) == 200
    assert small.ada.call("POST", "/api/share-links", {"asset_id": small.film, "rights": ["delete"]}).status_code == 400


def test_a_version_is_shared_alone(studio: Studio) -> None:
    first, _ = studio.versions
    guest = studio.link(version_id=first, rights=["download"])
    path = f"/assets/{studio.film}"
    asset = guest.call("GET", path).json()
    assert (asset["duration_seconds"], asset["width"]) == (1, 100), "and not what is known of the newest"
    assert guest.call("GET", "/assets").json()["items"] == [asset]
    assert f"/previews/{studio.film}/1/" in guest.call("POST", f"{path}/sign-preview", {}).json()["url"]
    assert f"/masters/{studio.film}/v1/" in guest.call("POST", f"{path}/sign-download", {}).json()["url"]
    whole = studio.link(asset_id=studio.film)
    assert whole.call("GET", path).json()["width"] == 200
    assert f"/previews/{studio.film}/2/" in whole.call("POST", f"{path}/sign-preview", {}).json()["url"]
    chosen = studio.ada.call("PUT", f"/api/assets/{studio.film}/playing", {"number": 1})
    assert (chosen.json()["width"], chosen.json()["playing_number"]) == (100, 1)
    assert f"/previews/{studio.film}/1/" in whole.call("POST", f"{path}/sign-preview", {}).json()["url"]
    assert whole.call("GET", path).json()["width"] == 100
    assert studio.ada.call("PUT", f"/api/assets/{studio.film}/playing", {"number": 3}).status_code == 404
    assert studio.ada.call("PUT", f"/api/assets/{studio.film}/playing", {}).json()["width"] == 200


def test_a_collection_shows_what_is_in_it_now(studio: Studio) -> None:
    third = studio.asset("Third")
    inner_of = studio.collection(studio.film, studio.other)
    studio.collection(third, parent_id=inner_of)
    guest = studio.link(collection_id=inner_of)
    assert guest.call("GET").json()["kind"] == "collection"
    assert guest.titles() == ["Film", "Other"]
    page = guest.call("GET", "/assets?limit=1").json()
    assert guest.titles(f"?limit=1&after={page['next']}") == ["Other"]
    assert guest.status("GET", f"/assets/{third}") == 404, "what lies in another collection within it"
    studio.ada.call("DELETE", f"/api/collections/{inner_of}/assets/{studio.other}")
    assert (guest.titles(), guest.status("GET", f"/assets/{studio.other}")) == (["Film"], 404)
    studio.ada.call("DELETE", f"/api/assets/{studio.film}")
    assert (guest.titles(), guest.status("GET", f"/assets/{studio.film}")) == ([], 404)
    assert studio.ada.call("DELETE", f"/api/collections/{inner_of}").status_code == 204
    assert guest.status() == 401


def test_a_smart_collection_is_shared_with_what_its_filter_finds(small: Studio) -> None:
    smart = small.collection(filter={"text": "film"})
    guest = small.link(collection_id=smart)
    assert guest.titles() == ["Film"]
    assert [guest.status("GET", f"/assets/{each}") for each in (small.film, small.other)] == [200, 404]
    small.ada.call("PATCH", f"/api/assets/{small.other}", {"description": "a film as well"})
    assert guest.titles() == ["Other", "Film"]


def test_a_link_ends_at_once(small: Studio) -> None:
    guest = small.link()
    assert small.ada.call("DELETE", guest.path).status_code == 204
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/assets", None),
        ("POST", f"/assets/{small.film}/sign-preview", {}),
        ("POST", "/unlock", {"password": "x"}),
    ):
        answer = guest.call(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.share_ended")
    assert small.ada.call("PATCH", guest.path, {"name": "again"}).status_code == 400
    over = small.link(asset_id=small.film, expires_at=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    assert over.call("GET").json()["code"] == "auth.share_ended"
    assert small.ada.call("PATCH", over.path, {"without_expiry": True}).status_code == 200
    assert over.status() == 200
    assert small.ada.call("DELETE", f"/api/assets/{small.film}").status_code == 204
    assert over.status() == 404, "it lies in the trash"


@pytest.mark.parametrize("how", ["secret", "id", "none", "scheme", "form"])
def test_a_made_up_token_opens_nothing(small: Studio, how: str) -> None:
    guest = small.link()
    made_up = {
        "secret": f"Bearer {guest.token[:-4]}AAAA",
        "id": f"Bearer {new_share_token().token}",
        "none": "Bearer ",
        "scheme": f"Basic {guest.token}",
        "form": f"Bearer {guest.token}é",
    }
    guest.headers = {"authorization": made_up[how].encode()}  # type: ignore[dict-item]
    assert guest.status() == 401


class TestPasswords:
    def test_without_it_nothing_is_told(self, small: Studio) -> None:
        guest = small.link(asset_id=small.film, password=PASSWORD)
        for method, path, body in (
            ("GET", "", None),
            ("GET", "/assets", None),
            ("GET", f"/assets/{small.film}", None),
            ("POST", f"/assets/{small.film}/sign-preview", {}),
        ):
            answer = guest.call(method, path, body)
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.share_password_required")
            assert "Film" not in answer.text
        assert guest.unlock("wrong").status_code == 401
        assert guest.status() == 401
        assert guest.unlock().status_code == 200
        assert guest.titles() == ["Film"]

    def test_a_pass_is_of_one_link_and_one_password_and_ends(
        self, small: Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        guest, other = [small.link(asset_id=small.film, password=PASSWORD) for _ in range(2)]
        guest.unlock()
        other.headers["share-pass"] = guest.headers["share-pass"]
        assert (guest.status(), other.status()) == (200, 401)
        for wrong in ("", "x", guest.headers["share-pass"][:-4] + "AAAA"):
            other.headers["share-pass"] = wrong
            assert other.status() == 401
        later = utc_now() + PASS_LIFETIME
        with monkeypatch.context() as patched:
            patched.setattr("mamkit_apps.api.callers.visitors.utc_now", lambda: later)
            assert guest.status() == 401
        assert guest.status() == 200
        assert small.ada.call("PATCH", guest.path, {"password": "5678"}).status_code == 200
        assert guest.status() == 401
        assert guest.unlock("5678").status_code == 200
        assert small.ada.call("PATCH", guest.path, {"without_password": True}).status_code == 200
        del guest.headers["share-pass"]
        assert guest.status() == 200

    def test_guesses_are_counted_before_they_are_made_and_locked_out(self, small: Studio) -> None:
        """Even the right one then has to wait, at any address, and nobody is kept out of another link."""
        guest = small.link(asset_id=small.film, password=PASSWORD)
        answers = [guest.unlock(f"wrong-{number}").status_code for number in range(8)]
        assert answers[:6] == [401] * 6
        assert answers[-1] == 429
        locked = guest.unlock()
        assert (locked.status_code, locked.json()["code"]) == (429, "auth.locked_out")
        assert int(locked.headers["retry-after"]) >= 1
        assert small.link(asset_id=small.film, password=PASSWORD).unlock().status_code == 200

    def test_a_wrong_one_costs_what_a_right_one_costs(self, small: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
        guest = small.link(asset_id=small.film, password=PASSWORD)
        hashed: list[str | None] = []
        verify = small.site.parts.passwords.verify

        def count(stored: str | None, password: str) -> None:
            hashed.append(stored)
            verify(stored, password)

        monkeypatch.setattr(small.site.parts.passwords, "verify", count)
        assert [guest.unlock(each).status_code for each in ("wrong", PASSWORD)] == [401, 200]
        assert len(hashed) == 2
        assert len(set(hashed)) == 1


def test_a_guest_takes_part_in_a_discussion(studio: Studio) -> None:
    guest = studio.link(asset_id=studio.film, rights=["comment"])
    path = f"/assets/{studio.film}/comments"
    mine = studio.ada.call("POST", f"/api{path}", {"content": "too dark?", "start_seconds": 1}).json()
    drawn = {"shapes": [{"kind": "line", "points": [[0, 0], [1, 1]]}]}
    said = guest.call("POST", path, {"content": "much", "name": "Eve", "parent_id": mine["id"], "drawing": drawn})
    assert said.status_code == 201, said.text
    assert (said.json()["author"], said.json()["guest"], said.json()["user_id"]) == ("Eve", True, None)
    page = guest.call("GET", path)
    assert [(each["author"], each["content"]) for each in page.json()["items"]] == [
        ("Ada", "too dark?"),
        ("Eve", "much"),
    ]
    assert studio.ada_id not in page.text
    seen = studio.ada.call("GET", f"/api{path}?parent={mine['id']}").json()["items"]
    assert [(each["author"], each["guest"]) for each in seen] == [("Eve", True)]
    assert studio.ada.call("GET", "/api/assets?q=much").json()["items"][0]["id"] == studio.film
    assert guest.status("POST", path, {"content": "here", "name": "Eve", "start_seconds": 2}) == 201
    assert "Eve,here" in studio.ada.call("GET", f"/api{path}/export").text
    for wrong in ({"content": "x"}, {"content": "x", "name": ""}, {"content": "x", "name": "e" * 101}):
        assert guest.status("POST", path, wrong) == 400
    foreign = studio.ada.call("POST", f"/api/assets/{studio.other}/comments", {"content": "secret"}).json()["id"]
    assert guest.status("POST", path, {"content": "x", "name": "Eve", "parent_id": foreign}) == 404
    assert studio.ada.call("PUT", f"/api/comments/{mine['id']}/resolution").json()["author"] == "Ada"
    resolved = studio.ada.call("GET", f"/api{path}?resolved=true").json()["items"]
    assert [each["id"] for each in resolved] == [mine["id"]]
    unresolved = studio.ada.call("GET", f"/api{path}?resolved=false").json()["items"]
    assert [each["content"] for each in unresolved] == ["here"]
    assert studio.ada.call("DELETE", guest.path).status_code == 204
    words = f"/api/comments/{said.json()['id']}"
    assert studio.ada.call("PATCH", words, {"content": "not at all"}).status_code == 403
    assert studio.ada.call("DELETE", words).status_code == 204


def test_a_comment_sent_twice_with_one_key_is_one(small: Studio) -> None:
    guest = small.link(asset_id=small.film, rights=["comment"])
    guest.headers["idempotency-key"] = "abc"
    body = {"content": "x", "name": "Eve"}
    first, second = [guest.call("POST", f"/assets/{small.film}/comments", body) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    other = small.link(asset_id=small.film, rights=["comment"])
    other.headers["idempotency-key"] = "abc"
    assert other.call("POST", f"/assets/{small.film}/comments", body).json()["id"] != first.json()["id"]


def test_what_was_done_by_a_link_is_recorded(studio: Studio) -> None:
    guest = studio.link(asset_id=studio.film, rights=["download", "comment"], password=PASSWORD)
    guest.unlock("wrong")
    guest.unlock()
    path = f"/assets/{studio.film}"
    guest.call("GET")
    guest.call("POST", f"{path}/sign-preview", {})
    guest.call("POST", f"{path}/sign-download", {})
    guest.call("POST", f"{path}/comments", {"content": "x", "name": "Eve"})
    uses = studio.ada.call("GET", f"{guest.path}/uses").json()["items"]
    actions = ["refused", "unlocked", "looked", "played", "downloaded", "commented"]
    assert [each["action"] for each in reversed(uses)] == actions
    assert all(each["address"] and each["created_at"] for each in uses)
    assert {each["asset_id"] for each in uses[:3]} == {studio.film}
    page = studio.ada.call("GET", f"{guest.path}/uses?limit=4").json()
    rest = studio.ada.call("GET", f"{guest.path}/uses?limit=4&after={page['next']}").json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [4, 2, None]
    studio.ada.call("DELETE", guest.path)
    link_id = guest.made["record"]["id"]
    assert studio.site.audit(f"share_link:{link_id}") == ["share_link.revoked", "share_link.made"]
    assert len(studio.ada.call("GET", f"{guest.path}/uses").json()["items"]) == 6


def test_playing_is_signed_for_a_short_while_and_bound_as_asked(tmp_path: Path) -> None:
    with open_site(tmp_path, edge_url="https://video.example.org/edge") as site:
        studio = Studio(site)
        guest = studio.link()
        path = f"/assets/{studio.film}/sign-preview"
        made = guest.call("POST", path, {"lifetime_seconds": 3600}).json()
        assert timedelta(0) < datetime.fromisoformat(made["expires_at"]) - utc_now() <= timedelta(seconds=900)
        by_cookie = guest.call("POST", path, {"carrier": "cookie", "lifetime_seconds": 60})
        assert by_cookie.headers["set-cookie"].startswith("mamkit_grant=")
        assert "/s/previews/" in by_cookie.json()["url"]
        assert guest.status("POST", path, {"lifetime_seconds": 1}) == 400
        bound = guest.call("POST", path, {"bind_address": True})
        assert bound.status_code == 400, "the test's client has no network address"


def test_a_link_has_a_share_of_requests_which_no_made_up_token_takes(tmp_path: Path) -> None:
    with open_site(tmp_path, api_rate_per_share=0.3, api_rate_per_address=100) as site:
        studio = Studio(site)
        guest, other = studio.link(), studio.link()
        first = guest.call("GET")
        assert first.headers["ratelimit"].startswith('"address"'), "until it was found good"
        answers = [guest.call("GET") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"share";q=3;w=10'
        assert [other.status() for _ in range(2)] == [200, 200]
        wrong = Guest(site, other.made)
        wrong.headers = {"authorization": f"Bearer {other.token[:-4]}AAAA"}
        for _ in range(5):
            assert wrong.call("GET").headers["ratelimit"].startswith('"address"')
        assert other.status() == 200


def test_a_good_api_key_is_of_no_link_and_takes_its_address_share(tmp_path: Path) -> None:
    with open_site(tmp_path, api_rate_per_address=0.3, api_rate_per_key=100) as site:
        ada = site.person()
        key = ada.call("POST", "/auth/api-keys", {"name": "a", "scopes": ["asset.read"]}).json()["api_key"]
        assert site.call("GET", "/api/assets", token=key).status_code == 200
        answers = [site.call("GET", "/api/shared", token=key) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 429, 429]


def test_a_link_takes_so_many_comments(small: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamkit_apps.api.library.shared.MAX_COMMENTS", 2)
    guest, other = [small.link(asset_id=small.film, rights=["comment"]) for _ in range(2)]
    path, body = f"/assets/{small.film}/comments", {"content": "x", "name": "Eve"}
    assert [guest.status("POST", path, body) for _ in range(3)] == [201, 201, 400]
    assert other.status("POST", path, body) == 201


class TestWhoMayShare:
    def test_nobody_shares_what_they_may_not_share(self, studio: Studio) -> None:
        bob, eve = studio.site.person(), studio.site.person()
        workspace = studio.ada.call("POST", "/api/workspaces", {"name": "Studio"}).json()["id"]
        studio.ada.call("PUT", f"/api/workspaces/{workspace}/members/{bob.id}", {"role": "editor"})
        presigned = studio.ada.call("POST", "/api/presign", {"filename": "a.mp4", "size": 5, "workspace_id": workspace})
        body = {
            "asset_id": presigned.json()["asset_id"],
            "filename": "a.mp4",
            "title": "Ours",
            "workspace_id": workspace,
        }
        ours = studio.ada.call("POST", "/api/assets", body).json()["id"]
        picks = bob.call("POST", "/api/collections", {"name": "Picks", "workspace_id": workspace}).json()["id"]
        assert bob.call("PUT", f"/api/collections/{picks}/assets/{ours}", {}).status_code == 204
        assert bob.call("POST", "/api/share-links", {"asset_id": ours}).status_code == 403
        assert bob.call("POST", "/api/share-links", {"collection_id": picks}).status_code == 403, "by a detour"
        assert studio.ada.call("POST", "/api/share-links", {"collection_id": picks}).status_code == 201
        assert bob.call("GET", f"/api/share-links?workspace={workspace}").json()["items"] == [], "not of their making"
        for what in ({"asset_id": studio.film}, {"version_id": studio.versions[0]}, {"collection_id": picks}):
            assert eve.call("POST", "/api/share-links", what).status_code == 404
        for what in ({}, {"asset_id": ours, "collection_id": picks}):
            assert studio.ada.call("POST", "/api/share-links", what).status_code == 400

    def test_of_two_changes_of_one_state_one_is_refused(self, small: Studio) -> None:
        guest = small.link()
        bearer = {"authorization": f"Bearer {small.ada.access}"}
        tag = small.site.client.get(guest.path, headers=bearer).headers["etag"]

        def change(**headers: str) -> int:
            body = {"rights": ["download"]}
            return int(small.site.client.patch(guest.path, json=body, headers=bearer | headers).status_code)

        assert [change(), change(**{"if-match": tag}), change(**{"if-match": tag})] == [428, 200, 412]
        assert guest.token not in small.ada.call("GET", "/api/share-links").text


def test_of_an_image_its_poster_is_shown_to_those_who_may(studio: Studio) -> None:
    asset = studio.asset("Photo")
    prefix = f"previews/{asset}/1/"

    async def add(session: Any) -> str:
        version = await db.add_version(
            session, asset_id=UUID(asset), master_key=f"masters/{asset}/v1/original.png", preview_prefix=prefix, size=5,
            sha256="5" * 64, facts={"image": {"format": "png", "width": 30, "height": 20}},
        )  # fmt: skip
        preview = await db.create_preview(session, version.id)
        for status in ("building", "ready"):
            await db.set_status(session, preview, status)
        await db.set_facts(session, version, version.facts or {})
        return str(version.id)

    version_id = str(studio.run(add))
    for name in ("poster.jpg", "thumbnail.jpg"):
        studio.site.parts.zones.previews.put(f"{prefix}art/{name}", b"jpeg", content_type="image/jpeg")
    shown = studio.ada.call("GET", f"/api/assets/{asset}").json()
    assert (shown["kind"], shown["width"], shown["height"]) == ("image", 30, 20)
    assert asset in {item["id"] for item in studio.ada.call("GET", "/api/assets?kind=image").json()["items"]}
    for answer in (
        studio.ada.call("POST", "/api/sign-preview", {"version_id": version_id}),
        studio.link(asset_id=asset).call("POST", f"/assets/{asset}/sign-preview", {}),
    ):
        assert answer.json()["url"].endswith(f"{prefix}art/poster.jpg"), answer.text
    items = studio.ada.call("GET", f"/api/preview/artwork?version_id={version_id}").json()["items"]
    assert {item["kind"] for item in items} == {"poster", "thumbnail"}
