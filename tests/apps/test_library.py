"""What people do with assets over HTTP: find, describe, comment, throw away, and work on together."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.apps.people import Person, Site, open_site


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    with open_site(data_dir) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person("ada@example.org")


def record(person: Person, title: str, **more: object) -> str:
    """Record an asset and return its id."""
    presigned = person.call("POST", "/api/presign", {"filename": "a.mp4", "size": 5, **more}).json()
    body = {"asset_id": presigned["asset_id"], "filename": "a.mp4", "title": title, **more}
    answer = person.call("POST", "/api/assets", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def titles(person: Person, query: str = "") -> list[str]:
    answer = person.call("GET", f"/api/assets?{query}")
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


def test_an_asset_is_described_and_found(ada: Person) -> None:
    first, _ = record(ada, "Über den Wolken"), record(ada, "Rushes")
    change = {"description": "in the fog", "tags": ["Day 1", "day 1", "night"], "fields": {"reel": 7, "done": True}}
    answer = ada.call("PATCH", f"/api/assets/{first}", change)
    assert answer.status_code == 200
    seen = ada.call("GET", f"/api/assets/{first}").json()
    assert seen == answer.json()
    assert (seen["tags"], seen["fields"], seen["title"]) == (["day 1", "night"], change["fields"], "Über den Wolken")
    assert titles(ada, "q=uber%20fog") == titles(ada, "tag=night&tag=day%201") == ["Über den Wolken"]
    assert titles(ada, "sort=title") == ["Rushes", "Über den Wolken"]
    assert ada.call("GET", "/api/facets?q=night").json()["counts"]["tag"] == {"day 1": 1, "night": 1}
    for wrong in ({"title": ""}, {"fields": {"a": {"b": 1}}}, {"tags": ["x" * 65]}, {"owner": "me"}, {"title": "\0"}):
        assert ada.call("PATCH", f"/api/assets/{first}", wrong).status_code == 400
    for query in ("sort=best", "q=%22", "created_from=2026-01-01T00:00:00", "after=x", "limit=101", "tag=%00"):
        assert ada.call("GET", f"/api/assets?{query}").status_code == 400


def test_a_member_that_is_named_as_a_part_of_ours_is_a_mistake_of_the_client(ada: Person) -> None:
    """Litestar takes it for one of the server."""
    for name in ("owner", "principal", "parts", "address", "wanted"):
        answer = ada.call("POST", "/api/workspaces", {"name": "x", name: 1})
        assert (answer.status_code, answer.json()["code"]) == (400, "http.bad_request")
        assert answer.json()["errors"]


def test_pages_go_on_where_they_were_while_assets_come(ada: Person) -> None:
    made = [record(ada, str(number)) for number in range(5)]
    page = ada.call("GET", "/api/assets?limit=3").json()
    record(ada, "new")
    rest = ada.call("GET", f"/api/assets?limit=3&after={page['next']}").json()
    assert sorted(item["id"] for item in page["items"] + rest["items"]) == sorted(made)
    assert rest["next"] is None


def test_what_is_thrown_away_comes_back_or_goes_for_good(site: Site, ada: Person) -> None:
    asset = record(ada, "Rushes")
    assert ada.call("DELETE", f"/api/assets/{asset}").status_code == 204
    assert ada.call("GET", f"/api/assets/{asset}").status_code == 404
    assert (titles(ada), titles(ada, "trashed=true")) == ([], ["Rushes"])
    assert ada.call("POST", f"/api/trash/{asset}/restore").json()["trashed_at"] is None
    assert ada.call("DELETE", f"/api/trash/{asset}").status_code == 404
    ada.call("DELETE", f"/api/assets/{asset}")
    assert ada.call("DELETE", f"/api/trash/{asset}").status_code == 202
    assert ada.call("POST", f"/api/trash/{asset}/restore").status_code == 409
    assert site.client.blocking_portal is not None
    assert site.client.blocking_portal.call(site.parts.trash.empty) == 1
    assert titles(ada, "trashed=true") == []
    assert site.audit(f"asset:{asset}") == ["asset.purged", "asset.trashed", "asset.restored", "asset.trashed"]


def test_a_team_works_on_an_asset_until_somebody_leaves(site: Site, ada: Person) -> None:
    bob = site.person("bob@example.org")
    studio = ada.call("POST", "/api/workspaces", {"name": "Studio"}).json()["id"]
    asset = record(ada, "Rushes", workspace_id=studio)
    assert (titles(ada), titles(ada, f"workspace={studio}")) == ([], ["Rushes"])
    member = f"/api/workspaces/{studio}/members/{bob.id}"
    assert ada.call("PUT", member, {"role": "reviewer"}).status_code == 204
    assert [each["name"] for each in bob.call("GET", "/api/workspaces").json()] == ["Personal", "Studio"]
    path = f"/api/assets/{asset}/comments"
    said = bob.call("POST", path, {"content": "=dark", "start_seconds": 1, "stop_seconds": 2}).json()
    shape = {"kind": "arrow", "points": [[0.1, 0.2], [0.5, 0.5]]}
    drawn = {"content": "here", "start_seconds": 3.5, "drawing": {"shapes": [shape]}}
    assert ada.call("POST", path, drawn).json()["drawing"]["shapes"][0]["points"] == shape["points"]
    shapes: list[dict[str, object]] = [{"points": [[0, 1.1]]}, {"points": []}, {"kind": "script"}, {"color": "red;}"}]
    for wrong in shapes:
        assert ada.call("POST", path, {**drawn, "drawing": {"shapes": [{**shape, **wrong}]}}).status_code == 400
    assert ada.call("PUT", f"/api/comments/{said['id']}/resolution").json()["resolved_by"] == ada.id
    assert titles(bob, f"workspace={studio}&q=dark") == ["Rushes"]
    table = bob.call("GET", f"{path}/export")
    assert table.headers["content-disposition"] == f'attachment; filename="{asset}.csv"'
    assert table.text.splitlines()[1] == "1.000,2.000,00:00:01:00,,'=dark,yes"
    assert "M:: here |D:1" in bob.call("GET", f"{path}/export?format=edl").text
    for form in ("fcpxml", "premiere"):
        text = bob.call("GET", f"{path}/export?format={form}").text
        assert len(list(ET.fromstring(text).iter("marker"))) == 2  # noqa: S314 - ours
    assert bob.call("DELETE", member).status_code == 204
    assert bob.call("GET", path).status_code == 404
    assert bob.call("PATCH", f"/api/comments/{said['id']}", {"content": "x"}).status_code == 404
    assert ada.call("DELETE", f"/api/workspaces/{studio}/members/{ada.id}").status_code == 409
