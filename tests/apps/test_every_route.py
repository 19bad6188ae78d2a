"""Every route of the API by everybody who may come along: the status that each of them gets, on both databases.

A route without a row fails, and so does a row without a route.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar, WebSocket, put, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.routes import WebSocketRoute
from sqlalchemy import delete

from mamkit import catalog as db
from mamkit.auth import new_share_token
from mamkit.catalog import Asset, Version
from mamkit.catalog.collection_items import put_asset
from mamkit.catalog.collections import create_collection
from mamkit.catalog.event_models import WebhookEndpoint
from mamkit.catalog.import_models import Import
from mamkit.catalog.imports import add_import
from mamkit.catalog.models import PreviewStatus
from mamkit.catalog.share_links import add_share_link
from mamkit.catalog.webhooks import add_endpoint, add_test
from mamkit.jobs import NewJob
from mamkit_apps.api.asgi import create_app
from mamkit_apps.api.settings import ApiSettings
from tests.apps.people import Site, open_site
from tests.apps.route_table import ACCOUNTS, EVERYBODY, TABLE, Row
from tests.servers.postgres import Postgres

ROLES: tuple[db.WorkspaceRole, ...] = ("viewer", "reviewer", "editor", "owner")
READY: tuple[PreviewStatus, ...] = ("building", "ready")


class World:
    """A shared workspace with a member of each role, somebody from elsewhere, and an administrator."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.users: dict[str, UUID] = {}
        self.run(self._people)
        self.things: dict[str, object] = {}
        self.tokens: dict[str, str] = {}

    def run(self, do: Any) -> Any:
        """Do something in one transaction of the catalog."""

        async def in_one() -> Any:
            async with self.site.parts.catalog.begin() as session:
                return await do(session)

        assert self.site.client.blocking_portal is not None
        return self.site.client.blocking_portal.call(in_one)

    async def _people(self, session: Any) -> None:
        for name in (*ROLES, "stranger", "admin", "revoked"):
            user = await db.create_user(session, email=f"{name}@example.org", display_name=name)
            await db.grant_role(session, user.id, name if name == "admin" else "editor")
            self.users[name] = user.id
        studio = await db.create_workspace(session, name="Studio", owner_id=self.users["owner"])
        self.studio = studio.id
        for name in ROLES[:-1]:
            await db.set_member(session, self.studio, self.users[name], name)
        await db.set_member(session, self.studio, self.users["revoked"], "owner")
        await db.create_workspace(session, name="Elsewhere", owner_id=self.users["stranger"])

    async def _fresh(self, session: Any) -> dict[str, object]:
        """Make what the table's requests are about: an editor's asset with all that belongs to it."""
        somebody = await db.create_user(session, email=f"{uuid4().hex}@example.org")
        empty = await db.create_workspace(session, name="Empty", owner_id=self.users["owner"])
        for name in ROLES[:-1]:
            await db.set_member(session, empty.id, self.users[name], name)
        asset, version = await self._asset(session)
        trashed, _ = await self._asset(session)
        await db.trash_asset(session, trashed.id)
        comment = await db.add_comment(session, asset_id=asset.id, user_id=self.users["reviewer"], content="dark")
        await session.execute(delete(WebhookEndpoint))  # a workspace has few
        webhook = await add_endpoint(session, self.studio, url="https://192.0.2.1/", secret="sealed")
        delivery = await add_test(session, webhook, {"type": "webhook.test"})
        collection = await create_collection(
            session, workspace_id=self.studio, user_id=self.users["editor"], name="Picks"
        )
        await put_asset(session, collection.id, asset.id)
        made = new_share_token()
        await add_share_link(
            session,
            id=made.link_id,
            digest=made.digest,
            workspace_id=self.studio,
            user_id=self.users["editor"],
            asset_id=asset.id,
            rights=["comment", "download"],
        )
        self.tokens["link"] = made.token
        await session.execute(delete(Import))  # a user has few under way
        fetched, _ = await add_import(
            session, user_id=self.users["editor"], workspace_id=self.studio, kind="url", source="example.com",
            title="", filename="a.mp4", origin=uuid4().hex,
        )  # fmt: skip
        return {
            "import_id": fetched.id,
            "webhook_id": webhook.id,
            "delivery_id": delivery.id,
            "collection_id": collection.id,
            "link_id": made.link_id,
            "asset_id": asset.id,
            "comment_id": comment.id,
            "trashed_asset_id": trashed.id,
            "version_id": version.id,
            "workspace_id": self.studio,
            "empty_workspace_id": empty.id,
            "user_id": somebody.id,
            "nothing": uuid4(),
        }

    def _job(self) -> UUID:
        """Return a job that was cancelled: it can be shown, tried again, cancelled and forgotten."""
        queue = self.site.parts.queue
        [job_id] = queue.enqueue(NewJob(kind="preview.plan", payload={"version_id": str(uuid4()), "master_key": "m"}))
        queue.cancel(job_id)
        return job_id

    async def _asset(self, session: Any) -> tuple[Asset, Version]:
        asset_id = uuid4()
        asset = await db.create_asset(
            session,
            id=asset_id,
            user_id=self.users["editor"],
            workspace_id=self.studio,
            title="Rushes",
            staging_key=f"uploads/{asset_id}",
        )
        version = await db.add_version(
            session,
            asset_id=asset.id,
            master_key=f"masters/{asset_id}/v1/original.mov",
            preview_prefix=f"previews/{asset_id}/1/",
            size=1,
            sha256="0" * 64,
        )
        preview = await db.create_preview(session, version.id)
        for status in READY:
            await db.set_status(session, preview, status)
        return asset, version

    def token(self, who: str) -> str:
        """Return what somebody sends as their bearer token."""
        if who == "nobody":
            return ""
        if who not in self.tokens:
            self.tokens[who] = self._issue(who)
        return self.tokens[who]

    def _issue(self, who: str) -> str:

        async def issue(session: Any) -> str:
            user = await db.user_by_id(session, self.users[who])
            token: str = self.site.parts.tokens.issue(
                user_id=user.id, session_id=uuid4(), authz_version=user.authz_version, roles=["editor"]
            )
            if who == "revoked":
                await db.bump_authz_version(session, user.id)
            return token

        return str(self.run(issue))

    def ask(self, route: str, row: Row, who: str) -> int:
        """Send the request of a row as somebody and return the status."""
        method, _, path = route.partition(" ")
        self.things = self.things or {"job_id": self._job(), **self.run(self._fresh)}
        things = {
            "email": f"{uuid4().hex}@example.org",
            **self.things,
            **{name: self.things[other] for name, other in row.instead.items()},
        }
        if method == "WEBSOCKET":
            return self._open(path, who)
        url = path.format(**{"name": "none", "role": "viewer", **dict.fromkeys(UNKNOWN, uuid4()), **things})
        answer = self.site.client.request(
            method,
            url + row.query.format(**things),
            json=_filled(row.body, things) if method in {"POST", "PUT", "PATCH"} else None,
            headers={"if-match": "*"} | ({"authorization": f"Bearer {token}"} if (token := self.token(who)) else {}),
            follow_redirects=False,
        )
        assert answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or row.faulty, answer.text
        if answer.is_success and method != "GET":  # the next one finds things and people as they were
            self.things, self.tokens = {}, {}
        return answer.status_code

    def _open(self, path: str, who: str) -> int:
        """Open a WebSocket, log in as its first message does, and return what becomes of it."""
        try:
            with self.site.client.websocket_connect(path) as socket:
                socket.send_json({"type": "login", "token": self.token(who)})
                return 101 if socket.receive_json()["type"] == "hello" else 0
        except WebSocketDisconnect as closed:
            return int(closed.code)


UNKNOWN = ("session_id", "passkey_id", "key_id", "identity_id")
"""What belongs to whoever asks, or to nobody."""


def _filled(body: Any, things: dict[str, object]) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, things) for name, value in body.items()}
    return str(things[body[1:]]) if isinstance(body, str) and body.startswith("$") else body


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    more: dict[str, object] = {}
    if request.param == "postgresql":  # of somebody who is no superuser, so that its policies hold
        postgres: Postgres = request.getfixturevalue("postgres")
        more["database_url"] = postgres.new_database(role="tenant")
        for name in ("edge_signing_key", "jwt_secret", "session_secret", "callback_secret", "sealing_keys"):
            more[name] = name.ljust(64, "x")
    with open_site(tmp_path_factory.mktemp("site"), **more) as site:
        yield World(site)


def routes(app: Litestar) -> Iterator[str]:
    """Yield `METHOD /path/{name}` of everything that the application answers, but the pages made by Litestar.

    What is no WebSocket and has no methods either is of every method: it would have no row, and be found so.
    """
    for route in app.routes:
        if not route.path.startswith("/schema"):
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            methods = {"WEBSOCKET"} if isinstance(route, WebSocketRoute) else getattr(route, "methods", {"ANY"})
            yield from (f"{method} {path}" for method in methods if method != "OPTIONS")


def test_every_route_has_a_row_and_every_row_a_route(tmp_path: Path) -> None:
    assert set(routes(create_app(ApiSettings.load(data_dir=tmp_path)))) == TABLE.keys()


def test_a_new_route_without_a_row_is_found(tmp_path: Path) -> None:
    """Whatever it is: a method of a path that is there, a path, a WebSocket."""

    @put("/api/assets")
    async def replace_all() -> None:
        """Replace everything."""

    @websocket("/api/assets/ws")
    async def listen(socket: WebSocket[Any, Any, Any]) -> None:
        """Say nothing."""
        await socket.close()

    app = create_app(ApiSettings.load(data_dir=tmp_path))
    app.register(replace_all)
    app.register(listen)
    assert set(routes(app)) - TABLE.keys() == {"PUT /api/assets", "WEBSOCKET /api/assets/ws"}


def test_every_row_says_what_everybody_gets() -> None:
    assert all(len(row.statuses) == len(EVERYBODY) for row in TABLE.values())


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True, scope="module")
@pytest.mark.parametrize("route", [route for route in TABLE if route not in ACCOUNTS])
def test_everybody_gets_their_status(world: World, route: str) -> None:
    check(world, route)


@pytest.mark.parametrize("world", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("route", ACCOUNTS)
def test_everybody_gets_their_status_about_accounts(world: World, route: str) -> None:
    """Accounts are of no workspace: one database is enough for them."""
    check(world, route)


def check(world: World, route: str) -> None:
    row = TABLE[route]
    given = {who: world.ask(route, row, who) for who in EVERYBODY}
    assert given == dict(zip(EVERYBODY, row.statuses, strict=True))


def test_the_table_tells_who_may_from_who_may_not() -> None:
    """It would show nothing if all rows said the same."""
    assert {200, 201, 204, 400, 401, 403, 404} <= set(chain.from_iterable(row.statuses for row in TABLE.values()))
