"""Events as those who listen get them: server-sent, and through a WebSocket."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Origin

from mamkit.catalog.events import purge_events
from mamkit_apps.api.dispatch import watchers
from tests.apps.api_process import PASSWORD, ApiProcess, running_api
from tests.apps.people import SITE, Person, Site, open_site
from tests.redis_server import RedisServer
from tests.servers.postgres import Postgres


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def happened(person: Person, seen: str = "") -> list[dict[str, str]]:
    """Return what a stream that does not wait tells: its events, each with its fields."""
    headers = {"authorization": f"Bearer {person.access}"} | ({"last-event-id": seen} if seen else {})
    answer = person.site.client.get("/api/events?follow=false", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return parsed(answer.text)


def parsed(text: str) -> list[dict[str, str]]:
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    return [block for block in blocks if "data" in block]


def types(events: list[dict[str, str]]) -> list[str]:
    return [event.get("event") or json.loads(event["data"])["type"] for event in events]


def new_asset(person: Person, **more: object) -> str:
    presigned = person.call("POST", "/api/presign", {"filename": "a.mp4", "size": 5, **more}).json()
    body = {"asset_id": presigned["asset_id"], "filename": "a.mp4", "title": "A film", **more}
    assert person.call("POST", "/api/assets", body).status_code == 201
    return str(presigned["asset_id"])


def settle(site: Site) -> None:
    """Let the hub read what there is."""
    assert site.client.blocking_portal is not None
    for _ in range(2):
        site.client.blocking_portal.call(site.parts.hub.round)


def test_everybody_is_told_of_their_workspaces_and_of_nothing_else(site: Site) -> None:
    ada, eve = site.person(), site.person()
    settle(site)
    [hello] = happened(ada)
    asset = new_asset(ada)
    ada.call("PATCH", f"/api/assets/{asset}", {"title": "Dailies"})
    ada.call("POST", f"/api/assets/{asset}/comments", {"content": "dark"})
    settle(site)
    told = happened(ada, hello["id"])
    assert types(told) == ["hello", "asset.created", "asset.changed", "comment.created"]
    changed = json.loads(told[2]["data"])
    assert (changed["asset_id"], changed["actor_id"], changed["data"]["title"]) == (asset, ada.id, "Dailies")
    assert int(told[2]["id"]) == changed["id"]
    assert types(happened(ada, told[2]["id"])) == ["hello", "comment.created"]
    assert types(happened(eve, hello["id"])) == ["hello"]


def test_what_is_shared_is_told_until_it_is_not(site: Site) -> None:
    ada, eve = site.person(), site.person()
    settle(site)
    [hello] = happened(eve)
    asset = new_asset(ada)
    ada.call("PUT", f"/api/assets/{asset}/shares/{eve.id}", {"actions": ["asset.read"]})
    settle(site)
    assert types(happened(eve, hello["id"])) == ["hello", "asset.created", "asset.shared"]
    ada.call("DELETE", f"/api/assets/{asset}/shares/{eve.id}")
    settle(site)
    assert types(happened(eve, hello["id"])) == ["hello"]


@pytest.mark.parametrize("seen", ["x", "-1", "999999999999", "9" * 30])
def test_who_has_seen_what_is_no_position_starts_anew(site: Site, seen: str) -> None:
    assert types(happened(site.person(), seen)) == ["reset", "hello"]


def test_who_comes_back_after_too_long_is_told_so(tmp_path: Path) -> None:
    with open_site(tmp_path) as site:
        ada = site.person()
        new_asset(ada)
        settle(site)

        async def forget() -> None:
            async with site.parts.catalog.begin() as session:
                await purge_events(session, older_than=-2 * site.settings.event_lifetime)
            await site.parts.hub.round()

        assert site.client.blocking_portal is not None
        site.client.blocking_portal.call(forget)
        [reset, hello] = happened(ada, "0")
        assert types([reset, hello]) == ["reset", "hello"]
        assert reset["id"] == hello["id"] == "1"


def test_who_was_told_more_by_another_process_goes_on_where_they_were(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process has not read yet what the other one has told already."""
    ada = site.person()
    new_asset(ada)
    settle(site)
    position = site.parts.hub.position
    monkeypatch.setattr(site.parts.hub, "position", position - 1)
    site.parts.hub._kept.pop()
    assert types(happened(ada, str(position))) == ["hello"]
    assert types(happened(ada, str(position - 1))) == ["hello", "asset.created"]


def test_what_is_no_longer_in_memory_is_read_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = site.person()
    settle(site)
    [hello] = happened(ada)
    asset = new_asset(ada)
    for count in range(30):
        ada.call("POST", f"/api/assets/{asset}/comments", {"content": f"{count}"})
    settle(site)
    from_memory = happened(ada, hello["id"])
    monkeypatch.setattr(site.parts.hub, "_since", site.parts.hub.position)
    monkeypatch.setattr("mamkit_apps.api.dispatch.hub.PAGE", 7)
    assert happened(ada, hello["id"]) == from_memory
    assert len(from_memory) == 32


def test_a_user_has_a_bounded_number_of_streams(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "PER_USER", 0)
    ada = site.person()
    answer = ada.call("GET", "/api/events")
    assert (answer.status_code, answer.json()["code"]) == (429, "apps.limit_reached")
    assert len(site.parts.watchers) == 0


def test_an_api_key_listens_if_it_may_read(site: Site) -> None:
    ada = site.person()
    statuses = {}
    for scopes in (["asset.read"], ["asset.read", "comment.read"]):
        key = ada.call("POST", "/auth/api-keys", {"name": "k", "scopes": scopes}).json()["api_key"]
        statuses[len(scopes)] = site.call("GET", "/api/events?follow=false", token=key).status_code
    assert statuses == {1: 403, 2: 200}


# ---- WebSocket


def connect(site: Site, **headers: str) -> Any:
    client: TestClient[Any] = site.client
    return client.websocket_connect("/api/events/ws", headers=headers)


def closed(socket: Any) -> int:
    """Return the code with which a socket is closed next."""
    with pytest.raises(WebSocketDisconnect) as caught:
        socket.receive_json(timeout=20)
    return int(caught.value.code)


def test_a_websocket_tells_the_same_and_resumes(site: Site) -> None:
    ada = site.person()
    with connect(site, origin=SITE) as socket:
        socket.send_json({"type": "login", "token": ada.access})
        hello = socket.receive_json(timeout=20)
        new_asset(ada)
        created = socket.receive_json(timeout=20)
        assert (hello["type"], created["type"]) == ("hello", "asset.created")
        socket.send_json({"type": "ping"})
        assert socket.receive_json(timeout=20) == {"type": "pong"}
    new_asset(ada)
    with connect(site) as socket:
        socket.send_json({"type": "login", "token": ada.access, "last_event_id": str(created["id"])})
        assert socket.receive_json(timeout=20) == {"type": "hello", "id": created["id"]}
        assert socket.receive_json(timeout=20)["id"] > created["id"]
    with connect(site) as socket:
        socket.send_json({"type": "login", "token": ada.access, "last_event_id": "x"})
        assert socket.receive_json(timeout=20)["type"] == "reset"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://video.example.org", f"{SITE}.evil.example"])
def test_a_page_of_another_origin_cannot_connect(site: Site, origin: str) -> None:
    with pytest.raises(WebSocketDisconnect), connect(site, origin=origin):
        pass


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type":"login","token":"x"}', 4401),
        ('{"type":"login","token":7}', 4401),
        ('{"type":"login"}', 4401),
        ('{"type":"ping"}', 4401),
        ("[]", 4400),
        ("{", 4400),
        ("[" * 8000, 4400),
        ('"' + "x" * 9000 + '"', 4400),
    ],
)
def test_a_socket_without_a_login_is_closed(site: Site, message: str, code: int) -> None:
    with connect(site) as socket:
        socket.send_text(message)
        assert closed(socket) == code


def test_a_socket_is_closed_when_nobody_logs_in_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mamkit_apps.api.events.sockets.LOGIN_WITHIN", 0.05)
    with connect(site) as socket:
        assert closed(socket) == 4408


def test_a_socket_ends_with_its_session_and_a_login_renews_it_for_its_user_alone(site: Site) -> None:
    ada, eve = site.person(), site.person()
    with connect(site) as one, connect(site) as other:
        for socket in (one, other):
            socket.send_json({"type": "login", "token": ada.access})
            assert socket.receive_json(timeout=20)["type"] == "hello"
        one.send_json({"type": "login", "token": ada.access})
        one.send_json({"type": "login", "token": eve.access})
        assert closed(one) == 4403
        assert site.call("POST", "/auth/logout", {"refresh_token": ada.refresh}).status_code == 204
        assert closed(other) == 4401
    assert len(site.parts.watchers) == 0


def test_who_is_removed_from_a_workspace_is_told_nothing_more(site: Site) -> None:
    ada, eve = site.person(), site.person()
    site.admin()
    studio = ada.call("POST", "/api/workspaces", {"name": "Studio"}).json()["id"]
    members = f"/api/workspaces/{studio}/members/{eve.id}"
    assert ada.call("PUT", members, {"role": "viewer"}).status_code == 204
    with connect(site) as socket:
        socket.send_json({"type": "login", "token": eve.access})
        socket.receive_json(timeout=20)
        new_asset(ada, workspace_id=studio)
        assert socket.receive_json(timeout=20)["type"] in {"member.set", "asset.created"}
        ada.call("DELETE", members)
        new_asset(ada, workspace_id=studio)
        mine = new_asset(eve)
        seen: list[Any] = []
        while not seen or seen[-1]["asset_id"] != mine:
            seen.append(socket.receive_json(timeout=20))
    kinds = [event["type"] for event in seen if event["workspace_id"] == studio]
    assert kinds.count("asset.created") <= 1, "that of before"
    assert "member.removed" not in kinds


# ---- two processes


class Listener:
    """A client that follows, now at one process and now at the other, from where it was."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.seen = ""
        self.events: list[dict[str, Any]] = []
        self.resets = 0

    def listen(self, url: str, *, until: int, seconds: float = 30) -> None:
        """Follow until there are so many events, or the connection breaks."""
        deadline = time.monotonic() + seconds
        more = {"last-event-id": self.seen} if self.seen else {}
        try:
            with httpx.stream("GET", f"{url}/api/events", headers=self.headers | more, timeout=30) as answer:
                assert answer.status_code == 200
                name = ""
                for line in answer.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "event":
                        name = value
                        self.resets += name == "reset"
                    elif field == "id":
                        self.seen = value
                    elif field == "data" and not name:
                        self.events.append(json.loads(value))
                    elif not line:
                        name = ""
                    if not line and (len(self.events) >= until or time.monotonic() > deadline):
                        return
        except httpx.TransportError:
            return


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: RedisServer
) -> Iterator[list[ApiProcess]]:
    settings = {"DATABASE_URL": postgres.new_database(), "REDIS_URL": redis_server.url, "API_RATE_PER_USER": "0"}
    with running_api(tmp_path_factory.mktemp("pair"), processes=2, **settings) as processes:
        yield processes


def comment_often(urls: list[str], headers: dict[str, str], asset: str, count: int) -> None:
    with httpx.Client(timeout=30, headers=headers) as client:
        for number in range(count):
            body = {"content": f"{number}"}
            url = urls[number % len(urls)]
            assert client.post(f"{url}/api/assets/{asset}/comments", json=body).status_code == 201


def film(url: str, headers: dict[str, str]) -> str:
    body = {"asset_id": str(uuid4()), "filename": "a.mp4", "title": "A film"}
    answer = httpx.post(f"{url}/api/presign", json={"filename": "a.mp4", "size": 5}, headers=headers)
    body["asset_id"] = answer.json()["asset_id"]
    assert httpx.post(f"{url}/api/assets", json=body, headers=headers).status_code == 201
    return body["asset_id"]


def person(url: str) -> dict[str, str]:
    made = httpx.post(f"{url}/auth/register", json={"email": f"{uuid4().hex}@example.com", "password": PASSWORD})
    return {"authorization": f"Bearer {made.json()['access_token']}"}


def test_a_websocket_of_a_real_process_tells_what_another_one_did(pair: list[ApiProcess]) -> None:
    one, other = pair
    headers = person(one.url)
    url = one.url.replace("http:", "ws:") + "/api/events/ws"
    with pytest.raises(InvalidStatus) as caught, connect_websocket(url, origin=Origin("https://evil.example")):
        pass
    assert caught.value.response.status_code == 403
    token = headers["authorization"].removeprefix("Bearer ")
    with connect_websocket(url) as socket:
        socket.send(json.dumps({"type": "login", "token": token}))
        assert json.loads(socket.recv(timeout=30))["type"] == "hello"
        asset = film(other.url, headers)
        assert json.loads(socket.recv(timeout=30))["asset_id"] == asset
        assert socket.ping().wait(30), "the protocol's own ping is answered"
        socket.send("x" * 100_000)
        with pytest.raises(ConnectionClosedError) as closed_by:
            socket.recv(timeout=30)
        assert closed_by.value.rcvd is not None
        assert closed_by.value.rcvd.code == 1009, "a message that is too long is not read"
    assert token not in one.log.read_text()


def test_two_processes_tell_the_same_in_one_order_and_a_killed_one_loses_nothing(pair: list[ApiProcess]) -> None:
    """Writers and listeners change between the processes; then one of these is killed while both go on."""
    urls = [process.url for process in pair]
    headers = person(urls[0])
    films = [film(url, headers) for url in urls]
    each = 15
    listeners = [Listener(headers), Listener(headers)]
    for listener in listeners:
        listener.seen = "0"
    writers = [threading.Thread(target=comment_often, args=(urls, headers, asset, each)) for asset in films]
    for writer in writers:
        writer.start()
    for round_ in range(6):
        for number, listener in enumerate(listeners):
            listener.listen(urls[(round_ + number) % 2], until=len(listener.events) + 5, seconds=3)
    for writer in writers:
        writer.join()
    threads = [
        threading.Thread(target=listener.listen, args=(urls[number],), kwargs={"until": 2 + 3 * each})
        for number, listener in enumerate(listeners)
    ]
    for thread in threads:
        thread.start()
    asyncio.run(asyncio.sleep(0.3))
    pair[0].kill()
    comment_often([urls[1]], headers, films[0], each)
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.listen(urls[1], until=2 + 3 * each)
        assert listener.resets == 0
        positions = [event["id"] for event in listener.events]
        assert positions == sorted(set(positions)), "in order, and none twice"
        assert len(positions) == 2 + 3 * each
        for asset in films:
            kinds = [event["type"] for event in listener.events if event["asset_id"] == asset]
            assert kinds == ["asset.created"] + ["comment.created"] * (each * (2 if asset == films[0] else 1))
    assert [event["id"] for event in listeners[0].events] == [event["id"] for event in listeners[1].events]
