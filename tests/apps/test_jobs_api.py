"""`/api/jobs` as an administrator uses it: pages that miss nothing, and operations that previews follow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from mamkit import catalog as db
from mamkit.ids import uuid7
from mamkit.jobs import Queue
from mamkit.previews import Planned, PlanPolicy
from mamkit.previews.messages import PART_JOB
from mamkit.testing.jobs import claimed, new_job
from tests.apps.people import Person, Site, open_site
from tests.redis_server import RedisServer
from tests.unit.previews.test_publisher import film


@pytest.fixture(scope="module", params=["the database", "Redis"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    if request.param == "the database":
        with open_site(folder) as site:
            yield site
    else:
        with RedisServer(folder / "redis") as server, open_site(folder, redis_url=server.url) as site:
            yield site


@pytest.fixture
def queue(site: Site) -> Queue:
    """The queue, which is empty."""
    found = site.parts.queue
    while jobs := found.list(limit=1000):
        for job in jobs:
            found.cancel(job.id)
            found.drop(job.id)
    return found


@pytest.fixture(scope="module")
def admin(site: Site) -> Person:
    return site.admin()


def ids(answer: Any) -> list[UUID]:
    assert answer.status_code == 200, answer.text
    return [UUID(item["id"]) for item in answer.json()["items"]]


def test_pages_miss_nothing_and_repeat_nothing(admin: Person, queue: Queue) -> None:
    expected = queue.enqueue(*(new_job() for _ in range(7)))[::-1]
    found, after = list[UUID](), ""
    while True:
        answer = admin.call("GET", f"/api/jobs?limit=3{after}")
        found += ids(answer)
        queue.enqueue(new_job())  # what comes meanwhile moves nothing
        if answer.json()["next"] is None:
            break
        after = f"&after={answer.json()['next']}"
    assert found == expected
    assert answer.json()["counts"]["waiting"] == 9


def test_dead_letters_stand_there_with_their_reason_and_can_be_tried_again(admin: Person, queue: Queue) -> None:
    queue.enqueue(*(new_job() for _ in range(3)))
    lease = claimed(queue)
    queue.bury(lease, reason="storage.unavailable: the store does not answer")
    page = admin.call("GET", "/api/jobs?state=dead")
    assert ids(page) == [lease.job.id]
    assert page.json()["items"][0]["reason"] == "storage.unavailable: the store does not answer"
    assert admin.call("GET", f"/api/jobs/{lease.job.id}").json() == page.json()["items"][0]
    answer = admin.call("POST", f"/api/jobs/{lease.job.id}/retry")
    assert (answer.json()["state"], answer.json()["attempts"]) == ("waiting", 0)
    assert ids(admin.call("GET", "/api/jobs?state=dead")) == []
    assert admin.call("POST", f"/api/jobs/{lease.job.id}/retry").status_code == 404


def test_a_running_job_is_cancelled_and_then_forgotten(admin: Person, queue: Queue) -> None:
    queue.enqueue(new_job())
    lease = claimed(queue)
    assert admin.call("DELETE", f"/api/jobs/{lease.job.id}").status_code == 404
    assert admin.call("POST", f"/api/jobs/{lease.job.id}/cancel").json()["state"] == "cancelled"
    assert not queue.holds(lease.job.id, lease.fence)
    assert admin.call("DELETE", f"/api/jobs/{lease.job.id}").status_code == 204
    assert admin.call("GET", f"/api/jobs/{lease.job.id}").status_code == 404


def test_who_did_it_is_recorded(site: Site, admin: Person, queue: Queue) -> None:
    [job_id] = queue.enqueue(new_job())
    for method, path in (("POST", "/cancel"), ("POST", "/retry"), ("POST", "/cancel"), ("DELETE", "")):
        assert admin.call(method, f"/api/jobs/{job_id}{path}").is_success
    assert site.audit(f"job:{job_id}") == ["job.dropped", "job.cancelled", "job.retried", "job.cancelled"]


def test_a_job_that_cannot_wait_again_beside_its_twin_is_refused(admin: Person, queue: Queue) -> None:
    [job_id] = queue.enqueue(new_job(dedupe_key="twin"))
    queue.cancel(job_id)
    queue.enqueue(new_job(dedupe_key="twin"))
    answer = admin.call("POST", f"/api/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "jobs.dedupe_key_taken")


def test_a_page_after_a_job_that_was_dropped_is_refused(admin: Person, queue: Queue) -> None:
    answer = admin.call("GET", f"/api/jobs?after={uuid7()}")
    assert (answer.status_code, answer.json()["code"]) == (400, "apps.invalid_request")


def test_the_jobs_of_a_preview_and_what_becomes_of_it_with_them(site: Site, admin: Person, queue: Queue) -> None:
    """Its part dies and the preview fails; the part is tried again, and the preview goes on."""
    publisher, catalog = site.parts.publisher, site.parts.catalog

    def run(do: Any, *arguments: Any) -> Any:
        assert site.client.blocking_portal is not None
        return site.client.blocking_portal.call(do, *arguments)

    user_id = UUID(admin.id)

    async def begin() -> UUID:
        asset_id = uuid4()
        async with catalog.begin() as session:
            await db.create_asset(session, id=asset_id, user_id=user_id, title="x", staging_key=f"uploads/{asset_id}")
            version = await db.add_version(
                session, asset_id=asset_id, master_key=f"masters/{asset_id}/v1/original.mp4",
                preview_prefix=f"previews/{asset_id}/1/", size=1, sha256="0" * 64,
            )  # fmt: skip
            await db.create_preview(session, version.id)
        await publisher.start(version.id)
        return version.id

    async def planned(version_id: UUID) -> None:
        lease = claimed(queue)
        report = Planned(
            version_id=version_id, job_id=lease.job.id, fence=lease.fence, facts={}, plan=PlanPolicy().plan(film(60))
        )
        await publisher.take(report)
        queue.complete(lease)

    async def begin_and_plan() -> UUID:
        version_id = await begin()
        await planned(version_id)
        return version_id

    queue.enqueue(new_job(priority=9))  # of somebody else
    version_id = run(begin_and_plan)
    lease = claimed(queue)
    queue.bury(lease, reason="no room")
    run(publisher.reconcile)
    status = admin.call("GET", f"/api/preview/status?version_id={version_id}").json()
    assert (status["status"], status["failure_code"]) == ("failed", "previews.gave_up")
    found = ids(admin.call("GET", f"/api/jobs?version_id={version_id}&limit=100"))
    assert len(found) == len(queue.list(limit=1000)) - 1
    pages = ids(first := admin.call("GET", f"/api/jobs?version_id={version_id}&limit=2"))
    pages += ids(admin.call("GET", f"/api/jobs?version_id={version_id}&limit=100&after={first.json()['next']}"))
    assert pages == found
    [dead] = ids(admin.call("GET", f"/api/jobs?version_id={version_id}&state=dead"))
    assert (dead, queue.get(dead).kind) == (lease.job.id, PART_JOB)
    assert admin.call("POST", f"/api/jobs/{dead}/retry").json()["state"] == "waiting"
    assert admin.call("GET", f"/api/preview/status?version_id={version_id}").json()["status"] == "building"
