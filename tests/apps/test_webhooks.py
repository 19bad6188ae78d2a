"""Webhooks: signed so that the specification's own library believes them, sent at least once, and to nobody inside."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mamkit.catalog import Catalog, webhooks
from mamkit.catalog.event_models import WebhookDelivery, WebhookEndpoint
from mamkit.catalog.events import tell
from mamkit.clock import utc_now
from mamkit_apps.api.dispatch.delivering import Deliverer
from mamkit_apps.api.dispatch.hub import Hub
from mamkit_apps.api.dispatch.messages import EventMessage
from mamkit_apps.sealed import WEBHOOKS
from tests.apps.people import Person, Site, open_site
from tests.servers.postgres import Postgres


class Receiver:
    """Somebody's server: notes what comes and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.came = threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.send_header("location", "http://127.0.0.1:1/")
                self.send_header("content-length", "0")
                self.end_headers()
                outer.came.release()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"

    def wait(self) -> tuple[dict[str, str], bytes]:
        """Return the next message once it has come."""
        assert self.came.acquire(timeout=30)
        return self.got[-1]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), webhook_networks="127.0.0.0/8") as site:
        yield site


class Hook:
    """A webhook of somebody's personal workspace."""

    def __init__(self, person: Person, **body: Any) -> None:
        self.person = person
        self.path = f"/api/workspaces/{person.id}/webhooks"
        answer = person.call("POST", self.path, body)
        assert answer.status_code == 201, answer.text
        self.made = answer.json()
        self.path += f"/{self.made['id']}"

    def call(self, method: str, more: str = "", body: object = None) -> Any:
        return self.person.call(method, self.path + more, body)

    def deliveries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/deliveries").json()
        return found

    def settled(self, state: str, **more: object) -> dict[str, Any]:
        """Return the newest message once it is in a state."""
        for _ in range(600):
            newest = self.deliveries()[0]
            if newest["state"] == state and all(newest[name] == value for name, value in more.items()):
                return newest
            threading.Event().wait(0.05)
        raise AssertionError(self.deliveries())


def test_an_event_is_sent_and_its_signature_is_good(site: Site, receiver: Receiver) -> None:
    ada = site.person()
    hook = Hook(ada, url=receiver.url, kinds=["workspace.changed"])
    secret = hook.made["secret"]
    assert "secret" not in hook.call("GET").json() or hook.call("GET").json()["secret"] is None
    assert ada.call("PATCH", f"/api/workspaces/{ada.id}", {"name": "Mine"}).status_code in {200, 403}
    _tell(site, ada.id)
    headers, body = receiver.wait()
    message = Webhook(secret).verify(body, headers)
    assert (message["type"], message["workspace_id"]) == ("workspace.changed", ada.id)
    assert headers["webhook-id"] == hook.settled("delivered")["message_id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


def _tell(site: Site, workspace_id: str, kind: str = "workspace.changed") -> None:
    async def happen() -> None:
        async with site.parts.catalog.begin() as session:
            await tell(session, kind, UUID(workspace_id), data={})

    assert site.client.blocking_portal is not None
    site.client.blocking_portal.call(happen)


def test_what_is_not_asked_for_and_progress_are_not_sent(site: Site, receiver: Receiver) -> None:
    ada = site.person()
    some = Hook(ada, url=receiver.url, kinds=["asset.created"])
    everything = Hook(ada, url=receiver.url)
    for kind in ("preview.progress", "asset.trashed", "asset.created"):
        _tell(site, ada.id, kind)
    for _ in range(3):
        receiver.wait()
    assert [each["type"] for each in some.deliveries()] == ["asset.created"]
    assert [each["type"] for each in everything.deliveries()] == ["asset.created", "asset.trashed"]
    hook = everything.call("POST", "/test").json()
    for body in (hook["body"], *(each["body"] for each in everything.deliveries())):
        EventMessage.model_validate_json(body)  # as the OpenAPI document says


def test_a_secret_is_changed_without_a_gap(site: Site, receiver: Receiver) -> None:
    hook = Hook(site.person(), url=receiver.url)
    new = hook.call("POST", "/secret").json()["secret"]
    assert hook.call("POST", "/test").status_code == 202
    headers, body = receiver.wait()
    assert new != hook.made["secret"]
    for secret in (new, hook.made["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"


@pytest.mark.parametrize("status", [302, 400, 500])
def test_what_is_refused_is_tried_again_under_its_id_and_can_be_sent_anew(
    site: Site, receiver: Receiver, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "RETRIES", (timedelta(seconds=0.01), timedelta(seconds=0.01)))
    hook = Hook(site.person(), url=receiver.url)
    receiver.answers = [status] * 3
    hook.call("POST", "/test")
    failed = hook.settled("failed", attempts=3)
    assert (failed["status"], failed["error"]) == (status, f"the answer was {status}")
    assert hook.call("GET").json()["failing_since"] is not None
    assert hook.call("POST", f"/deliveries/{failed['id']}/replay").status_code == 202
    hook.settled("delivered", attempts=1)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 4, "a redirect is not followed"
    assert hook.call("GET").json()["failing_since"] is None


def test_a_server_that_says_gone_is_told_nothing_more(site: Site, receiver: Receiver) -> None:
    ada = site.person()
    hook = Hook(ada, url=receiver.url)
    receiver.answers = [410]
    hook.call("POST", "/test")
    for _ in range(200):
        if not (view := hook.call("GET").json())["enabled"]:
            break
        threading.Event().wait(0.05)
    assert view["disabled_reason"] == "gone"
    assert hook.call("POST", "/test").status_code == 409
    for _ in range(200):
        if kinds := [each["kind"] for each in ada.call("GET", "/api/notifications").json()["notifications"]]:
            break
        threading.Event().wait(0.05)
    assert kinds == ["webhook.disabled"]
    assert hook.call("PATCH", body={"enabled": True}).json()["enabled"]
    assert hook.call("POST", "/test").status_code == 202
    hook.settled("delivered")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://user:pw@example.com/",
        "ftp://example.com/",
        "https://[::1]/",
        "http://169.254.169.254/",
    ],
)
def test_a_url_that_leads_inside_is_refused(site: Site, url: str) -> None:
    ada = site.person()
    answer = ada.call("POST", f"/api/workspaces/{ada.id}/webhooks", {"url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "apps.destination_refused")


def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was fine when the webhook was added, and leads inside when it is used."""
    hook = Hook(site.person(), url="http://hooks.example.com/")
    monkeypatch.setattr(site.parts.guard, "_allowed", ())

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(site.parts.guard, "_resolve", resolve)
    hook.call("POST", "/test")
    refused = hook.settled("waiting", attempts=1)
    assert "no public address" in refused["error"]
    assert "127.0.0.1" not in refused["error"]
    assert receiver.got == []


def test_bounds(site: Site) -> None:
    ada = site.person()
    path = f"/api/workspaces/{ada.id}/webhooks"
    assert ada.call("POST", path, {"url": "https://example.com/", "kinds": ["preview.progress"]}).status_code == 400
    statuses = [ada.call("POST", path, {"url": "https://example.com/"}).status_code for _ in range(11)]
    assert statuses == [201] * 10 + [409]


# ---- many processes


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    from mamkit.catalog import upgrade

    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/catalog.db"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    upgrade(url)
    return url


def test_two_processes_send_each_message_once_and_take_over_from_a_third_that_was_killed(
    database: str, site: Site, receiver: Receiver
) -> None:
    events = 30
    parts = site.parts

    async def work() -> None:
        async with contextlib.AsyncExitStack() as stack:
            catalogs = [await stack.enter_async_context(Catalog(database)) for _ in range(2)]
            async with catalogs[0].begin() as session:
                from mamkit import catalog as db

                user = await db.create_user(session, email="ada@example.org")
                endpoint = await webhooks.add_endpoint(session, user.id, url=receiver.url, secret="")
                endpoint.secret = parts.vault.seal(SECRET.encode(), where=WEBHOOKS.where(endpoint.id))
                for _ in range(events):
                    await tell(session, "workspace.changed", user.id)

            async def plan(session: Any, found: Any) -> None:
                await webhooks.plan_deliveries(session, found, lambda event: {"type": event.kind, "id": event.position})

            hubs = [Hub(catalog, parts.watchers, plan) for catalog in catalogs]
            await asyncio.gather(*(hub.round() for hub in (*hubs, *hubs)))
            async with catalogs[0].begin() as session:  # the third claims, and is killed
                claim = await webhooks.claim_endpoint(session, lease=timedelta(seconds=1))
                assert claim is not None
                assert len(claim.deliveries) == 10
                assert await webhooks.claim_endpoint(session, lease=timedelta(seconds=60)) is None
            deliverers = [Deliverer(catalog, parts.guarded, parts.vault) for catalog in catalogs]
            assert [await deliverer.deliver_due() for deliverer in deliverers] == [0, 0]
            await asyncio.sleep(1)  # the lease ends
            for _ in range(100):
                await asyncio.gather(*(deliverer.deliver_due() for deliverer in deliverers))
                async with catalogs[0].read() as session:
                    found = await webhooks.deliveries_of(session, claim.endpoint.id, limit=100)
                if all(each.state == "delivered" for each in found):
                    break
            # What the killed one would have noted counts no more: its lease went to others.
            outcome = webhooks.Outcome(delivery_id=found[0].id, status=500, error="x", attempted_at=utc_now())
            async with catalogs[1].begin() as session:
                assert not await webhooks.settle(session, claim, [outcome])
            assert [each.attempts for each in found] == [1] * events

    assert site.client.blocking_portal is not None
    site.client.blocking_portal.call(work)
    assert sorted(json.loads(body)["id"] for _, body in receiver.got) == list(range(1, events + 1))


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


def test_what_fails_for_five_days_is_disabled(site: Site) -> None:
    hook = Hook(site.person(), url="https://example.com/")

    async def fail() -> tuple[Any, Any]:
        async with site.parts.catalog.begin() as session:
            endpoint = await session.get(WebhookEndpoint, UUID(hook.made["id"]))
            assert endpoint is not None
            await webhooks.add_test(session, endpoint, {"type": "webhook.test"})
            endpoint.failing_since = utc_now() - timedelta(days=5)
            claim = await webhooks.claim_endpoint(session, lease=timedelta(seconds=60))
            assert claim is not None
            tried = webhooks.Outcome(
                delivery_id=claim.deliveries[0].id, status=None, error="no answer", attempted_at=utc_now()
            )
            assert await webhooks.settle(session, claim, [tried])
            delivery = await session.get(WebhookDelivery, claim.deliveries[0].id)
            return endpoint.disabled_reason, delivery and delivery.state

    assert site.client.blocking_portal is not None
    assert site.client.blocking_portal.call(fail) == ("failing", "waiting")
