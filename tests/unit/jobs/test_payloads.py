from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ConfigDict

from mamkit.jobs import InvalidJobError, InvalidPayloadError, Lease, MemoryQueue, NewJob
from mamkit.jobs.payloads import CheckedQueue
from mamkit.testing.jobs import LEASE, ManualClock


class Greet(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    of: UUID | None = None


class Part(BaseModel):
    number: int


class Other(BaseModel):
    pass


@pytest.fixture
def inner() -> MemoryQueue:
    return MemoryQueue(clock=ManualClock())


@pytest.fixture
def queue(inner: MemoryQueue) -> CheckedQueue:
    return CheckedQueue(inner, {"greet": Greet, "part": Part})


def test_a_payload_comes_back_as_its_model(queue: CheckedQueue) -> None:
    greet = Greet(name="Ada", of=uuid4())
    queue.enqueue(queue.job(greet, priority=1), queue.job(Part(number=1)))
    first, second = queue.claim("me", lease=LEASE), queue.claim("me", kinds=["greet"], lease=LEASE)
    assert first is not None
    assert second is not None
    assert (first.payload, second.payload) == (Part(number=1), greet)
    assert first.lease.job.kind == "part"
    assert queue.claim("me", lease=LEASE) is None


@pytest.mark.parametrize(
    ("kind", "payload", "problem"),
    [
        ("greet", {}, "name: missing"),
        ("greet", {"name": 5}, "name: string_type"),
        ("greet", {"name": "Ada", "token": "s3cret"}, "token: extra_forbidden"),
        ("greet", {"name": "Ada", "of": "s3cret"}, "of: uuid_parsing"),
        ("unknown", {}, "there is no model for this kind"),
    ],
)
def test_what_does_not_fit_is_refused_whole_and_its_values_are_not_told(
    queue: CheckedQueue, inner: MemoryQueue, kind: str, payload: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        queue.enqueue(queue.job(Part(number=1)), NewJob(kind=kind, payload=payload))
    assert caught.value.kind == kind
    assert caught.value.problems == (problem,)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert inner.list() == []


def test_what_is_no_json_is_refused_as_everywhere(queue: CheckedQueue) -> None:
    with pytest.raises(InvalidJobError):
        queue.enqueue(NewJob(kind="greet", payload={"name": {1, 2}}))


def test_what_got_in_all_the_same_is_a_dead_letter_and_stops_nobody(queue: CheckedQueue, inner: MemoryQueue) -> None:
    bad, worse = inner.enqueue(
        NewJob(kind="greet", payload={"name": None, "password": "s3cret"}), NewJob(kind="part", payload={"number": []})
    )
    [good] = queue.enqueue(queue.job(Part(number=3), priority=9))
    [foreign] = inner.enqueue(NewJob(kind="foreign", payload={}))
    work = queue.claim("me", lease=LEASE)
    assert work is not None
    assert work.lease.job.id == good
    assert inner.get(foreign).state == "waiting"
    for job_id in (bad, worse):
        job = inner.get(job_id)
        assert job.state == "dead"
        assert job.reason is not None
        assert job.reason.startswith("jobs.invalid_payload: ")
        assert "s3cret" not in job.reason


def test_a_bad_job_that_is_lost_meanwhile_is_let_be(queue: CheckedQueue) -> None:
    class Slow(MemoryQueue):
        """Takes so long to bury that the job is cancelled first."""

        def bury(self, lease: Lease, *, reason: str) -> None:
            self.cancel(lease.job.id)
            super().bury(lease, reason=reason)

    inner = Slow()
    [bad] = inner.enqueue(NewJob(kind="part", payload={}))
    assert CheckedQueue(inner, {"part": Part}).claim("me", lease=LEASE) is None
    assert inner.get(bad).state == "cancelled"


def test_a_model_names_one_kind(queue: CheckedQueue, inner: MemoryQueue) -> None:
    with pytest.raises(InvalidPayloadError):
        queue.job(Other())
    with pytest.raises(InvalidPayloadError):
        CheckedQueue(inner, {"a": Part, "b": Part}).job(Part(number=1))


def test_kinds_without_a_model_are_not_claimed(queue: CheckedQueue, inner: MemoryQueue) -> None:
    inner.enqueue(NewJob(kind="foreign", payload={}))
    assert queue.claim("me", kinds=["foreign"], lease=LEASE) is None
    with pytest.raises(InvalidJobError):
        queue.claim("me", kinds="part", lease=LEASE)
    with pytest.raises(InvalidJobError):
        queue.claim("me", lease=timedelta(0))
