"""The part of the queue's contract about adding: jobs come back as they were put in, and once for each dedupe key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from threading import Barrier
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.jobs import InvalidJobError, NewJob, Queue
from mamkit.testing.jobs._basis import SECOND, START, ManualClock, QueueFixtures, claimed, new_job

try:
    import pytest
except ImportError as error:
    raise MissingExtraError("testing", package="pytest") from error

__all__ = ["AddingContract"]


class AddingContract(QueueFixtures):
    """Jobs come back as they were put in, once for each dedupe key, and all or none of them."""

    def test_a_job_comes_back_as_it_was_put_in(self, queue: Queue, clock: ManualClock) -> None:
        payload = {"text": "ünï\U0001f600 \ud800", "n": [1, 2.5, None, True], "deep": {"": {}}}
        [job_id] = queue.enqueue(NewJob(kind="a.b", payload=payload, dedupe_key="k", priority=-3, max_attempts=2))
        job = queue.get(job_id)
        assert (job.id, job.kind, job.payload) == (job_id, "a.b", payload)
        assert (job.state, job.priority, job.dedupe_key) == ("waiting", -3, "k")
        assert (job.attempts, job.max_attempts, job.reason) == (0, 2, None)
        assert job.created_at == job.run_at
        assert abs(job.created_at - clock()) < SECOND
        assert job.created_at.tzinfo is UTC

    def test_a_job_keeps_of_which_trace_it_is_part(self, queue: Queue) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        ids = queue.enqueue(new_job(traceparent=trace, dedupe_key="k"), new_job(), new_job(dedupe_key="k"))
        assert [queue.get(job_id).traceparent for job_id in ids] == [trace, None, trace]
        lease = claimed(queue)
        assert lease.job.traceparent == trace
        assert queue.renew(lease, by=SECOND).job.traceparent == trace

    def test_no_jobs_are_added_when_none_are_given(self, queue: Queue) -> None:
        assert queue.enqueue() == []

    def test_jobs_are_added_all_or_none(self, queue: Queue) -> None:
        with pytest.raises(InvalidJobError):
            queue.enqueue(new_job(), new_job(kind=""))
        assert queue.list() == []

    def test_a_changed_payload_does_not_change_the_job(self, queue: Queue) -> None:
        payload = {"list": [1]}
        [job_id] = queue.enqueue(new_job(payload=payload))
        payload["list"].append(2)
        assert queue.get(job_id).payload == {"list": [1]}

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"kind": ""}, id="no kind"),
            pytest.param({"kind": "x" * 201}, id="long kind"),
            pytest.param({"kind": "nul\0"}, id="NUL in the kind"),
            pytest.param({"kind": b"bytes"}, id="bytes for a kind"),
            pytest.param({"traceparent": "00-0-0-01"}, id="trace that is none"),
            pytest.param({"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01\n"}, id="trace and a line"),
            pytest.param({"payload": []}, id="payload without names"),
            pytest.param({"payload": {"at": START}}, id="payload with a datetime"),
            pytest.param({"payload": {1: "one"}}, id="payload with a number for a name"),
            pytest.param({"payload": {"pair": (1, 2)}}, id="payload with a tuple"),
            pytest.param({"payload": {"n": float("nan")}}, id="payload with NaN"),
            pytest.param({"payload": {"n": float("inf")}}, id="payload with infinity"),
            pytest.param({"payload": {"n": 10**5000}}, id="payload with a number too long to write"),
            pytest.param({"payload": {"text": "x" * 300_000}}, id="large payload"),
            pytest.param({"dedupe_key": ""}, id="empty dedupe key"),
            pytest.param({"dedupe_key": "\ud800"}, id="dedupe key without a UTF-8 form"),
            pytest.param({"priority": 2**40}, id="huge priority"),
            pytest.param({"priority": 0.5}, id="fractional priority"),
            pytest.param({"delay": -SECOND}, id="negative delay"),
            pytest.param({"delay": timedelta.max}, id="endless delay"),
            pytest.param({"delay": 5}, id="delay without a unit"),
            pytest.param({"max_attempts": 0}, id="no attempts"),
            pytest.param({"max_attempts": "5"}, id="text for attempts"),
        ],
    )
    def test_an_impossible_job_is_refused(self, queue: Queue, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidJobError) as caught:
            queue.enqueue(new_job(**changes))
        assert caught.value.field == next(iter(changes))
        assert queue.depth().counts["waiting"] == 0

    def test_a_payload_nested_too_deep_or_in_itself_is_refused(self, queue: Queue) -> None:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        endless: dict[str, Any] = {}
        endless["self"] = endless
        for payload in ({"deep": deep}, endless):
            with pytest.raises(InvalidJobError):
                queue.enqueue(new_job(payload=payload))
        while deep:  # taken apart by hand, since comparing or dropping it whole would recurse
            deep = deep.pop()

    def test_the_largest_payload_comes_back_and_a_byte_more_is_refused(self, queue: Queue) -> None:
        """256 KiB as JSON; a character outside of ASCII takes six bytes or twelve."""
        around = len('{"text":""}')
        largest = {"text": "\U0001f600" + "x" * (256 * 1024 - around - 12)}
        [job_id] = queue.enqueue(new_job(payload=largest, kind="k" * 200, dedupe_key="d" * 500))
        assert claimed(queue).job == queue.get(job_id)
        assert queue.get(job_id).payload == largest
        with pytest.raises(InvalidJobError):
            queue.enqueue(new_job(payload={"text": largest["text"] + "x"}))

    def test_a_second_job_with_a_taken_key_is_the_first(self, queue: Queue) -> None:
        first, other, again = queue.enqueue(new_job(dedupe_key="k"), new_job(), new_job(dedupe_key="k"))
        assert first == again != other
        assert queue.enqueue(new_job(dedupe_key="k", kind="another")) == [first]
        assert queue.depth().counts["waiting"] == 2

    def test_of_a_large_batch_those_whose_key_is_taken_are_not_added(self, queue: Queue) -> None:
        """In any order, and more of them than a statement takes."""
        taken = queue.enqueue(*(new_job(dedupe_key=f"k{number}") for number in range(0, 1200, 3)))
        ids = queue.enqueue(*(new_job(dedupe_key=f"k{number}") for number in reversed(range(1200))))
        assert ids[::-1][::3] == taken
        assert len(set(ids)) == 1200 == queue.depth().counts["waiting"]

    def test_a_key_is_taken_while_its_job_runs_and_free_when_it_is_finished(self, queue: Queue) -> None:
        [first] = queue.enqueue(new_job(dedupe_key="k"))
        lease = claimed(queue)
        assert queue.enqueue(new_job(dedupe_key="k")) == [first]
        queue.complete(lease)
        assert queue.enqueue(new_job(dedupe_key="k")) != [first]

    def test_a_race_for_one_key_adds_one_job(self, queue: Queue) -> None:
        start = Barrier(8)

        def add(_: int) -> object:
            start.wait()
            return queue.enqueue(new_job(), new_job(dedupe_key="k"))[1]

        with ThreadPoolExecutor(8) as threads:
            assert len(set(threads.map(add, range(8)))) == 1
        assert queue.depth().counts["waiting"] == 9
