"""A bar moves while the first part of a film is encoded, whatever keeps the queue and whichever API is looked at."""

import json
import threading
import time
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from mamkit.catalog import sync_engine
from mamkit.ids import uuid7
from mamkit.jobs import Lease, Queue
from mamkit.jobs.redis import RedisQueue
from mamkit.jobs.sql import SqlQueue
from mamkit.previews import Failed, Planned, Progress
from mamkit.previews.messages import PART_JOB, PLAN_JOB
from mamkit.signing import WebhookSigner
from mamkit.transcode import make_plan
from tests.apps.api_process import ApiProcess, running_api
from tests.apps.test_two_processes import Both
from tests.servers.postgres import Postgres
from tests.unit.previews.test_publisher import film

LEASE = timedelta(minutes=5)
TOLD = 4
PAUSE = 0.5  # seconds between two reports of a worker


@pytest.fixture(params=["sql", "redis"])
def settings(request: pytest.FixtureRequest, postgres: Postgres) -> dict[str, str]:
    more = {} if request.param == "sql" else {"REDIS_URL": request.getfixturevalue("own_redis").start().url}
    return {"DATABASE_URL": postgres.new_database(), **more}


def test_both_apis_show_how_far_a_long_first_part_is_while_it_is_made(settings: dict[str, str], tmp_path: Path) -> None:
    engine = sync_engine(settings["DATABASE_URL"])
    with running_api(tmp_path, processes=2, **settings) as processes:
        pair = Both(processes, tmp_path, settings["DATABASE_URL"], settings.get("REDIS_URL", ""))
        headers = pair.person("ada@example.com")
        version_id = UUID(pair.version(headers))
        queue = RedisQueue.from_url(settings["REDIS_URL"]) if "REDIS_URL" in settings else SqlQueue(engine)
        signer = WebhookSigner("callback_secret".ljust(32, ".").encode())

        def tell(process: ApiProcess, report: BaseModel) -> None:
            body = report.model_dump_json().encode()
            signed = signer.sign(str(uuid7()), body) | {"content-type": "application/json"}
            answer = pair.client.post(f"{process.url}/api/preview/callback", content=body, headers=signed)
            assert answer.json() == {"wanted": True}

        planning = claimed(queue, PLAN_JOB)
        plan = make_plan(film(600))
        said: dict[str, Any] = {"version_id": version_id, "job_id": planning.job.id, "fence": planning.fence}
        tell(processes[0], Planned(**said, facts={}, plan=plan))
        queue.complete(planning)
        part = claimed(queue, PART_JOB)
        said = {"version_id": version_id, "job_id": part.job.id, "fence": part.fence}
        index = part.job.payload["part"]["index"]

        seen: list[list[tuple[str, float]]] = [[], []]
        ready = threading.Barrier(3, timeout=60)

        def look(number: int) -> None:
            url = f"{processes[number].url}/api/preview/events?version_id={version_id}"
            with pair.client.stream("GET", url, headers=headers) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data:"):
                        told = json.loads(line.removeprefix("data:"))
                        seen[number].append((told["status"], told["progress"]))
                        if len(seen[number]) == 1:
                            ready.wait()

        lookers = [threading.Thread(target=look, args=(number,)) for number in range(2)]
        for looker in lookers:
            looker.start()
        ready.wait()
        for tenths in range(1, TOLD + 1):  # each report reaches the other process, as through an address for both
            tell(processes[tenths % 2], Progress(**said, part=index, done=Fraction(tenths, 10)))
            time.sleep(PAUSE)
        tell(processes[0], Failed(**said, code="x.y", message="over"))
        for looker in lookers:
            looker.join(60)
        pair.client.close()
        if isinstance(queue, RedisQueue):
            queue.close()
        engine.dispose()
    for shown in seen:
        assert shown[-1][0] == "failed"
        moving = [progress for status, progress in shown if status == "building"]
        assert moving == sorted(moving)
        # Told once a second at most, of reports twice a second; each process takes every other of these.
        assert len(set(moving)) >= TOLD // 2


def claimed(queue: Queue, kind: str) -> Lease:
    lease = queue.claim("worker", kinds=[kind], lease=LEASE)
    assert lease is not None
    return lease
