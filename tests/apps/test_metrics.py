"""What a worker tells those who watch it: the Prometheus text format, and numbers that are true."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from fractions import Fraction
from uuid import uuid4

import httpx
import pytest

from mamkit.clock import utc_now
from mamkit.jobs import Lease, LeaseLostError, MemoryQueue, Queue, QueueDepth, QueueUnavailableError
from mamkit.previews import Finished, Room
from mamkit.testing.jobs import LEASE, ManualClock, QueueContract, claimed, new_job
from mamkit.transcode import PartResult, Segment
from mamkit_apps.serving import listen
from mamkit_apps.worker.metered import MeteredQueue
from mamkit_apps.worker.monitor import metrics_text, monitor

SAMPLE = re.compile(r'([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? ([0-9.]+)')


class TestMeteredQueue(QueueContract):
    """It is a queue like any other."""

    @pytest.fixture
    def queue(self, clock: ManualClock) -> Queue:
        return MeteredQueue(MemoryQueue(clock=clock))


def samples(queue: MeteredQueue) -> dict[str, float]:
    """Return every sample by its name and labels, once the text keeps the format's rules."""
    found: dict[str, float] = {}
    declared: set[str] = set()
    for line in metrics_text(queue).splitlines():
        if line.startswith("#"):
            _, keyword, name, _ = line.split(maxsplit=3)
            assert (keyword == "HELP") == (name not in declared), "HELP and TYPE stand once, before the samples"
            declared.add(name)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert re.sub("_(bucket|sum|count)$", "", match[1]) in declared
        sample = match[1] + (match[2] or "")
        assert sample not in found
        found[sample] = float(match[3])
    return found


def test_a_worker_that_has_done_nothing_says_so() -> None:
    found = samples(MeteredQueue(MemoryQueue()))
    assert found["mamkit_queue_up"] == 1
    assert found['mamkit_queue_jobs{state="waiting"}'] == 0
    assert found["mamkit_queue_oldest_seconds"] == found["mamkit_worker_leases_lost_total"] == 0


def test_every_end_of_a_job_is_counted() -> None:
    queue = MeteredQueue(MemoryQueue())
    queue.enqueue(*(new_job(kind="a", max_attempts=1) for _ in range(5)), new_job(kind='"\\\n', priority=9))
    queue.complete(claimed(queue))
    queue.bury(claimed(queue), reason="bad")
    queue.retry(claimed(queue), reason="bad", delay=timedelta(0))
    queue.release(claimed(queue))
    lease = claimed(queue)
    queue.cancel(lease.job.id)
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            queue.renew(lease, by=LEASE)
    held = claimed(queue)
    found = samples(queue)
    assert found['mamkit_worker_jobs_total{kind="a",outcome="done"}'] == 1
    assert found['mamkit_worker_jobs_total{kind="a",outcome="dead"}'] == 2
    assert found['mamkit_worker_jobs_total{kind="a",outcome="released"}'] == 1
    assert found["mamkit_worker_leases_lost_total"] == 1
    assert found["mamkit_worker_jobs_in_hand"] == 1
    assert found['mamkit_worker_job_seconds_bucket{kind="a",le="+Inf"}'] == 1
    queue.complete(held)


def test_the_log_says_of_each_job_what_it_is_when_it_is_begun_and_how_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "mamkit_apps.worker.metered")
    queue = MeteredQueue(MemoryQueue())
    part = {"version_id": "0198", "part": {"kind": "video", "index": 3}}
    queue.enqueue(new_job(payload=part, max_attempts=2), new_job(priority=9))
    first = claimed(queue, "host:7:0")
    queue.retry(first, reason="no room", delay=timedelta(0))
    queue.bury(claimed(queue), reason="bad")
    queue.complete(claimed(queue))
    job, told = first.job.id, [record.getMessage() for record in caplog.records]
    assert told[0] == f"job {job} is begun: video part 3 of version 0198, try 1 of 2, as host:7:0"
    assert told[1].startswith(f"job {job} failed, and is tried again after 0.")
    assert told[1].endswith(" s: video part 3 of version 0198: no room")
    assert " is given up after " in told[3]
    assert " is done after " in told[5]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO", "ERROR", "INFO", "INFO"]


def test_a_job_whose_end_the_queue_did_not_take_is_no_longer_in_hand() -> None:
    class Away(MemoryQueue):
        def complete(self, lease: Lease) -> None:
            raise QueueUnavailableError("gone")

    queue = MeteredQueue(Away())
    queue.enqueue(new_job())
    with pytest.raises(QueueUnavailableError):
        queue.complete(claimed(queue))
    found = samples(queue)
    assert found["mamkit_worker_jobs_in_hand"] == 0
    assert found['mamkit_worker_jobs_total{kind="test",outcome="unsaid"}'] == 1


def test_buckets_hold_all_that_was_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = MeteredQueue(MemoryQueue())
    now = 0.0
    monkeypatch.setattr("mamkit_apps.worker.metered.time.monotonic", lambda: now)
    for seconds in (0.2, 1.0, 45, 5000):
        queue.enqueue(new_job())
        lease = claimed(queue)
        now += seconds
        queue.complete(lease)
    found = samples(queue)
    buckets = [value for name, value in found.items() if name.startswith("mamkit_worker_job_seconds_bucket")]
    assert buckets == [1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4]
    assert found['mamkit_worker_job_seconds_sum{kind="test"}'] == pytest.approx(5046.2)
    assert found['mamkit_worker_job_seconds_count{kind="test"}'] == 4


def test_the_oldest_job_tells_its_age() -> None:
    clock = ManualClock(utc_now() - timedelta(minutes=5))
    queue = MeteredQueue(MemoryQueue(clock=clock))
    queue.enqueue(new_job())
    assert 299 < samples(queue)["mamkit_queue_oldest_seconds"] < 600


def test_without_its_queue_a_worker_still_tells_of_itself() -> None:
    class Gone(MemoryQueue):
        def depth(self) -> QueueDepth:
            raise QueueUnavailableError("gone")

    found = samples(MeteredQueue(Gone()))
    assert found["mamkit_queue_up"] == 0
    assert "mamkit_queue_oldest_seconds" not in found
    assert found["mamkit_worker_jobs_in_hand"] == 0


def test_many_ask_at_once_and_a_silent_client_stops_nobody() -> None:
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()[:2]
    with monitor(MeteredQueue(MemoryQueue()), listener), socket.create_connection((host, port)):
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: httpx.get(f"http://{host}:{port}/metrics"), range(24)))
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].headers["content-type"].startswith("text/plain; version=0.0.4")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{host}:{port}/healthz")


def test_how_fast_a_worker_encodes_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = MeteredQueue(MemoryQueue())
    now = 100.0
    monkeypatch.setattr("mamkit_apps.worker.metered.time.monotonic", lambda: now)
    queue.enqueue(new_job(payload={"part": {"kind": "video"}}))
    lease = claimed(queue)
    now += 4
    segments = [
        Segment(rendition=name, index=index, duration=Fraction(6), size=1)
        for name in ("720p", "360p")
        for index in (0, 1)
    ]
    made = PartResult(part=0, inits=(), segments=tuple(segments))
    report = Finished(version_id=uuid4(), job_id=lease.job.id, fence=lease.fence, result=made)
    queue.made(report)
    queue.made(report.model_copy(update={"fence": lease.fence + 1}))  # of a lease that it does not hold
    found = samples(queue)
    assert found['mamkit_worker_part_seconds_total{part="video"}'] == 4
    assert found['mamkit_worker_media_seconds_total{part="video"}'] == 12
    room = Room()
    with room.take(1000):
        assert "mamkit_worker_memory_taken_bytes 1000\n" in metrics_text(queue, room=room)


def test_attack_a_reason_of_another_program_is_one_short_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    queue = MeteredQueue(MemoryQueue())
    queue.enqueue(new_job())
    queue.bury(claimed(queue), reason="x" * 100_000 + "\x1b[2J\nERROR forged \ud800 the end")
    said = caplog.records[-1].getMessage()
    assert said.endswith(" [2J ERROR forged   the end")
    assert said.isprintable()
    assert len(said) < 1200
