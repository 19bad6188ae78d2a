"""Collections over HTTP, which version plays, how much is kept: what the catalog's own tests leave to the API."""

from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mamkit.catalog import AssetFilter
from mamkit_apps.api.library.finding import provide_query
from tests.apps.people import Person, Site, open_site
from tests.apps.test_library import record


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person()


def make(person: Person, name: str, **more: object) -> dict[str, Any]:
    answer = person.call("POST", "/api/collections", {"name": name, **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(person: Person, query: str = "") -> list[str]:
    return [each["name"] for each in person.call("GET", f"/api/collections?{query}").json()["items"]]


def test_a_filter_is_the_same_in_a_query_and_in_a_collection() -> None:
    renamed = {"q": "text", "tag": "tags"}
    of_the_query = {renamed.get(name, name) for name in signature(provide_query).parameters}
    beside = {"principal", "workspace", "trashed", "mine"}
    assert of_the_query - beside == {field.name for field in fields(AssetFilter)}


def test_a_tree_is_built_moved_and_removed(ada: Person) -> None:
    a, b = make(ada, "a"), make(ada, "b")
    c = make(ada, "c", after_id=a["id"])
    make(ada, "0", first=True)
    assert names(ada) == ["0", "a", "c", "b"]
    inner = make(ada, "inner", parent_id=b["id"])
    place = f"/api/collections/{c['id']}/place"
    assert ada.call("PUT", place, {"parent_id": b["id"], "after_id": inner["id"]}).json()["revision"] == 2
    assert (names(ada), names(ada, f"parent={b['id']}")) == (["0", "a", "b"], ["inner", "c"])
    circle = ada.call("PUT", f"/api/collections/{b['id']}/place", {"parent_id": c["id"]})
    assert (circle.status_code, circle.json()["code"]) == (409, "catalog.invalid_collection")
    page = ada.call("GET", "/api/collections?limit=2").json()
    assert names(ada, f"limit=2&after={page['next']}") == ["b"]
    assert ada.call("GET", "/api/collections?after=x").status_code == 400
    assert ada.call("DELETE", f"/api/collections/{b['id']}").status_code == 204
    assert ada.call("GET", f"/api/collections/{inner['id']}").status_code == 404
    actions = ada.site.audit(f"collection:{b['id']}")
    assert actions == ["collection.deleted", "collection.created"]


def test_of_two_changes_of_one_state_one_is_refused(ada: Person) -> None:
    path = f"/api/collections/{make(ada, 'a')['id']}"
    bearer = {"authorization": f"Bearer {ada.access}"}
    client = ada.site.client
    tag = client.get(path, headers=bearer).headers["etag"]
    for method, where in (("PATCH", path), ("PUT", f"{path}/place")):
        assert client.request(method, where, json={}, headers=bearer).status_code == 428
    assert client.patch(path, json={"name": "b"}, headers=bearer | {"if-match": tag}).status_code == 200
    for method, where in (("PATCH", path), ("PUT", f"{path}/place")):
        assert client.request(method, where, json={}, headers=bearer | {"if-match": tag}).status_code == 412


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/api/comments/{comment}"), ("PATCH", "/api/workspaces/{workspace}")]
)
def test_so_is_it_with_whatever_is_changed(ada: Person, method: str, path: str) -> None:
    film = record(ada, "Film")
    comment = ada.call("POST", f"/api/assets/{film}/comments", {"content": "x"}).json()["id"]
    path = path.format(comment=comment, workspace=ada.call("POST", "/api/workspaces", {"name": "x"}).json()["id"])
    bearer = {"authorization": f"Bearer {ada.access}"}
    tag = ada.site.client.get(path, headers=bearer).headers["etag"]
    body = {"content": "y"} if "comments" in path else {"name": "y"}
    sent = [{}, {"if-match": tag}, {"if-match": tag}]
    got = [ada.site.client.request(method, path, json=body, headers=bearer | each).status_code for each in sent]
    assert got == [428, 200, 412]


def test_assets_are_put_in_order_and_found_by_a_filter(ada: Person) -> None:
    picks = make(ada, "picks")["id"]
    ids = {title: record(ada, title) for title in "abc"}
    for title, place in (("a", {}), ("b", {"first": True}), ("c", {"after_id": ids["b"]})):
        assert ada.call("PUT", f"/api/collections/{picks}/assets/{ids[title]}", place).status_code == 204
    shown = ada.call("GET", f"/api/collections/{picks}/assets").json()
    assert [each["title"] for each in shown["items"]] == ["b", "c", "a"]
    page = ada.call("GET", f"/api/collections/{picks}/assets?limit=2").json()
    rest = ada.call("GET", f"/api/collections/{picks}/assets?limit=2&after={page['next']}").json()
    assert [each["title"] for each in rest["items"]] == ["a"]
    smart = make(ada, "smart", filter={"text": "b", "sort": "title"})
    assert smart["filter"]["text"] == "b"
    found = ada.call("GET", f"/api/collections/{smart['id']}/assets").json()["items"]
    assert [each["title"] for each in found] == ["b"]
    assert ada.call("PUT", f"/api/collections/{smart['id']}/assets/{ids['a']}", {}).status_code == 409
    assert ada.call("PUT", f"/api/collections/{picks}/assets/{uuid4()}", {}).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1},
        {"kind": "picture"},
        {"text": "..."},
        {"tags": ["x" * 65]},
        {"min_duration": -1},
        {"created_from": "2026-01-01T00:00:00"},
        {"text": "\0"},
        {"owner_id": "nobody"},
    ],
)
def test_a_filter_that_cannot_be_is_refused(ada: Person, wrong: dict[str, object]) -> None:
    assert ada.call("POST", "/api/collections", {"name": "x", "filter": wrong}).status_code == 400


def test_what_others_made_is_not_deleted_along(site: Site, ada: Person) -> None:
    bob, eve = site.person(), site.person()
    workspace = ada.call("POST", "/api/workspaces", {"name": "Studio"}).json()["id"]
    for person in (bob, eve):
        ada.call("PUT", f"/api/workspaces/{workspace}/members/{person.id}", {"role": "editor"})
    outer = make(bob, "bob's", workspace_id=workspace)["id"]
    inner = make(eve, "eve's", workspace_id=workspace, parent_id=outer)["id"]
    assert bob.call("DELETE", f"/api/collections/{outer}").status_code == 403
    assert bob.call("PATCH", f"/api/collections/{inner}", {"name": "mine"}).status_code == 403
    assert ada.call("DELETE", f"/api/collections/{outer}").status_code == 204


def test_owners_read_what_was_done_in_their_workspace_and_nobody_elses(site: Site, ada: Person) -> None:
    bob, eve = site.person(), site.person()
    workspace = ada.call("POST", "/api/workspaces", {"name": "Studio"}).json()["id"]
    ada.call("PUT", f"/api/workspaces/{workspace}/members/{bob.id}", {"role": "editor"})
    picks = make(bob, "picks", workspace_id=workspace)["id"]
    film = record(ada, "Film", workspace_id=workspace)
    link = ada.call("POST", "/api/share-links", {"asset_id": film}).json()["record"]["id"]
    subjects = [f"workspace:{workspace}", f"collection:{picks}", f"asset:{film}", f"share_link:{link}"]
    for subject in subjects:
        path = f"/api/audit?subject={subject}"
        assert [each.call("GET", path).status_code for each in (ada, bob, eve)] == [200, 403, 403]
    for subject in (f"user:{ada.id}", "asset:x", "", "workspace", f"workspace:{uuid4()}"):
        assert ada.call("GET", f"/api/audit?subject={subject}").status_code == 403
    events = ada.call("GET", f"/api/audit?subject={subjects[0]}").json()
    assert [each["action"] for each in events] == ["workspace.member_set", "workspace.created"]
    rest = ada.call("GET", f"/api/audit?subject={subjects[0]}&limit=1&after={events[0]['id']}").json()
    assert rest == events[1:]


def test_what_is_kept_is_counted_as_it_comes_and_goes(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        ada, admin = site.person(), site.admin()
        film = record(ada, "Film")
        record(ada, "Other")
        ada.call("DELETE", f"/api/assets/{film}")
        stats = ada.call("GET", "/api/stats").json()
        assert stats["total"] == {"assets": 2, "trashed": 1, "versions": 0, "size": 0}
        assert [(each["user_id"], each["assets"]) for each in stats["users"]] == [(ada.id, 2)]
        assert ada.call("GET", "/api/stats?everything=true").status_code == 403
        assert admin.call("GET", "/api/stats?everything=true").json()["total"]["assets"] == 2
