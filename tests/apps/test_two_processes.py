"""Two processes of the API behind one address: whichever of them a request reaches, the answer is right."""

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from mamkit import catalog as db
from mamkit.jobs import Lease
from mamkit.jobs.redis import RedisQueue
from mamkit.previews import PartJob, Planned
from mamkit.previews.messages import PART_JOB, PLAN_JOB
from mamkit.signing import WebhookSigner
from mamkit.storage import LocalStore
from mamkit.transcode import make_plan
from mamkit_apps.worker.main import HttpReporter
from tests.apps.api_process import PASSWORD, ApiProcess, bearer, running_api
from tests.redis_server import RedisServer
from tests.servers.postgres import Postgres
from tests.unit.previews.test_publisher import film, finished

FILE = b"bytes"
RATE = 2.0  # requests a second for one user; ten seconds' worth at once


class Both:
    """Two processes, asked in turns."""

    def __init__(self, processes: list[ApiProcess], folder: Path, database: str, redis: str) -> None:
        self.processes = processes
        self.redis = redis
        self.turns = cycle(processes)
        self.folder = folder
        self.database = database
        self.client = httpx.Client(timeout=30)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        return self.client.request(method, next(self.turns).url + path, json=body, headers=headers)

    def person(self, email: str) -> dict[str, str]:
        """Register somebody and return the headers of their requests."""
        made = self.ask("POST", "/auth/register", {"email": email, "password": PASSWORD})
        return {"authorization": f"Bearer {made.json()['access_token']}"}

    def version(self, headers: dict[str, str]) -> str:
        """Upload something, each request to the other process, and return its version."""
        presigned = self.ask("POST", "/api/presign", {"filename": "a.mp4", "size": len(FILE)}, **headers).json()
        LocalStore(self.folder / "data" / "objects").put(presigned["staging_key"], FILE)
        asset = {"asset_id": presigned["asset_id"]}
        self.ask("POST", "/api/assets", {**asset, "filename": "a.mp4", "title": "A film"}, **headers)
        return str(self.ask("POST", "/api/promote", asset, **headers).json()["id"])

    def playlists(self, version_id: str) -> dict[str, list[str]]:
        """Return the segments that each rendition's playlist names, and what ends it."""
        store = LocalStore(self.folder / "data" / "objects")
        keys = [info.key for info in store.list("previews/") if f"/{version_id}/" in info.key]
        found = {}
        for key in keys:
            if key.endswith("/index.m3u8") and key.count("/") == 4:
                with store.get(key) as body:
                    lines = body.read().decode().splitlines()
                found[key.split("/")[3]] = [line for line in lines if line.endswith((".m4s", "ENDLIST"))]
        return found

    def fail_preview(self, version_id: str) -> None:
        """Change the preview as a worker's report does."""

        async def change() -> None:
            async with db.Catalog(self.database) as catalog, catalog.begin() as session:
                preview = await db.preview_of(session, UUID(version_id), for_update=True)
                await db.set_status(session, preview, "failed", failure_code="x.y", failure="no film")

        asyncio.run(change())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: RedisServer) -> Iterator[Both]:
    folder, database = tmp_path_factory.mktemp("two"), postgres.new_database()
    redis = f"{redis_server.url.removesuffix('/0')}/5"  # a queue that no other test puts anything into
    settings: dict[str, Any] = {"DATABASE_URL": database, "REDIS_URL": redis, "API_RATE_PER_USER": str(RATE)}
    with running_api(folder, processes=2, **settings) as processes:
        pair = Both(processes, folder, database, redis)
        yield pair
        pair.client.close()


def test_a_session_and_its_end_hold_at_both(both: Both) -> None:
    tokens = both.ask("POST", "/auth/register", {"email": "a@example.com", "password": PASSWORD}).json()
    for _ in range(3):
        tokens = both.ask("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}).json()
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    assert {both.ask("GET", "/auth/me", **headers).status_code for _ in range(2)} == {200}
    assert both.ask("POST", "/auth/logout-all", **headers).status_code == 204
    assert {both.ask("GET", "/auth/me", **headers).status_code for _ in range(2)} == {401}
    assert both.ask("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 401


def test_a_limit_counts_for_both_together(both: Both) -> None:
    headers = both.person("b@example.com")
    statuses = [both.ask("GET", "/auth/me", **headers).status_code for _ in range(60)]
    # As many as come at once, and those for which time went by meanwhile; each process alone would let all pass.
    assert statuses[:20] == [200] * 20
    assert 429 in statuses


def test_a_request_sent_again_to_the_other_is_answered_by_the_first_answer(both: Both) -> None:
    headers = both.person("c@example.com")
    body = {"name": "k", "scopes": ["asset.read"]}
    first, second = (both.ask("POST", "/auth/api-keys", body, **headers, **{"idempotency-key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"


def test_an_upload_begun_at_one_goes_on_at_the_other(both: Both) -> None:
    headers = both.person("d@example.com")
    begun = both.ask("POST", "/api/uploads/parts", {"filename": "a.mp4", "size": 20 << 20}, **headers).json()
    for _ in range(2):
        there = both.ask("POST", "/api/uploads/parts/list", {"upload": begun["upload"]}, **headers)
        assert (there.status_code, there.json()["numbers"]) == (200, [])


def test_events_go_on_at_the_other_after_the_last_that_was_seen(both: Both) -> None:
    headers = both.person("e@example.com")
    version_id = both.version(headers)
    path = f"/api/preview/events?version_id={version_id}"

    def listen(process: ApiProcess, seen: str) -> list[str]:
        """Return the lines of a stream until its first event, or its end."""
        found = []
        more = {"last-event-id": seen} if seen else {}
        with both.client.stream("GET", process.url + path, headers={**headers, **more}) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                found.append(line)
                if line.startswith("data:"):
                    break
        return found

    one, other = both.processes
    first = listen(one, "")
    assert first[0].startswith("retry: ")
    seen = next(line for line in first if line.startswith("id: ")).removeprefix("id: ")
    # The other process has nothing new to tell until the change, however that came about.
    timer = threading.Timer(1.0, both.fail_preview, [version_id])
    timer.start()
    second = listen(other, seen)
    timer.join()
    assert '"status":"failed"' in second[-1]
    last = next(line for line in second if line.startswith("id: ")).removeprefix("id: ")
    assert last != seen
    assert httpx.get(one.url + path, headers={**headers, "last-event-id": last}).status_code == 204
    assert bearer(other.url)


def told(process: ApiProcess, client: httpx.Client, headers: dict[str, str], seen: str) -> list[str]:
    """Return the ids of all that has happened after one."""
    path = f"{process.url}/api/events?follow=false"
    lines = client.get(path, headers={**headers, "last-event-id": seen}).text.splitlines()
    return [line for line in lines if line.startswith("id: ")][1:]  # the first says hello


def test_what_happens_at_both_is_told_by_both_in_one_order(both: Both) -> None:
    headers = both.person("f@example.com")
    one, other = both.processes
    for _ in range(2):
        both.version(headers)
    at_one = told(one, both.client, headers, "0")
    # Whoever names an id that a process has not read yet makes it read on.
    assert told(other, both.client, headers, at_one[-1].removeprefix("id: ")) == []
    at_other = told(other, both.client, headers, "0")
    assert at_other[: len(at_one)] == at_one
    assert len(at_other) >= 2 * 2  # an asset and a version each, and their previews
    middle = at_one[1].removeprefix("id: ")
    assert told(one, both.client, headers, middle) == told(other, both.client, headers, middle) == at_other[2:]


def test_reports_that_reach_both_at_once_and_again_give_one_playlist(both: Both) -> None:
    """Each part is reported to one process while another is to the other, and then to the other one once more."""
    headers = both.person("g@example.com")
    version_id = both.version(headers)
    signer = WebhookSigner(b"callback_secret".ljust(32, b"."))
    reporters = [HttpReporter(process.url, signer) for process in both.processes]
    queue = RedisQueue.from_url(both.redis)
    plan = make_plan(film(120))

    def leases(kind: str) -> list[Lease]:
        found = iter(lambda: queue.claim("worker", lease=timedelta(minutes=5)), None)
        return [each for each in found if each.job.payload["version_id"] == version_id and each.job.kind == kind]

    [planning] = leases(PLAN_JOB)
    planned = Planned(version_id=UUID(version_id), job_id=planning.job.id, fence=planning.fence, facts={}, plan=plan)
    assert [reporter(planned).wanted for reporter in reporters] == [True, True]
    queue.complete(planning)
    parts = leases(PART_JOB)
    assert len(parts) == len(plan.parts) > 4
    random.Random(7).shuffle(parts)
    lengths = dict.fromkeys((*(each.name for each in plan.video), *(each.name for each in plan.audio)), 0)
    with ThreadPoolExecutor(2) as pool:
        for pair in (parts[index : index + 2] for index in range(0, len(parts), 2)):
            reports = [
                finished(UUID(version_id), lease, plan, PartJob.model_validate(lease.job.payload).part)
                for lease in pair
            ]
            for turn in (reporters, reporters[::-1]):
                list(pool.map(lambda reporter, report: reporter(report), turn, reports))
            for name, segments in both.playlists(version_id).items():
                made = [each for each in segments if not each.endswith("ENDLIST")]
                assert made == [f"segment_{number:05d}.m4s" for number in range(len(made))], "without a gap"
                assert len(made) >= lengths[name], "none goes again"
                lengths[name] = len(made)
    queue.close()
    for reporter in reporters:
        reporter._client.close()
    states = [both.ask("GET", f"/api/preview/status?version_id={version_id}", **headers).json() for _ in range(2)]
    assert [state["status"] for state in states] == ["ready", "ready"]
    whole = [*(f"segment_{number:05d}.m4s" for number in range(plan.segment_count)), "#EXT-X-ENDLIST"]
    assert both.playlists(version_id) == dict.fromkeys(lengths, whole)
