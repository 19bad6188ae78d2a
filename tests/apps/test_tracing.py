"""What traces are made of: spans below a request or a job, a bounded outbox, and nobody who waits for it."""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from opentelemetry.trace import SpanKind, get_current_span

from mamkit.catalog import sync_engine
from mamkit.ids import uuid7
from mamkit.jobs import LeaseLostError, MemoryQueue, Queue
from mamkit.previews import Ack, Report
from mamkit.storage import MemoryStore, Zones
from mamkit.testing.jobs import ManualClock, QueueContract, claimed, new_job
from mamkit_apps import logs
from mamkit_apps.tracing import otlp_headers
from mamkit_apps.tracing.databases import summary_of
from mamkit_apps.tracing.entries import DETAILS
from mamkit_apps.tracing.outbox import BATCH, ROOM
from mamkit_apps.tracing.tracing import Tracing
from mamkit_apps.worker.settings import WorkerSettings
from mamkit_apps.worker.traced import TracedWorker
from tests.apps.test_up import free_port
from tests.servers.otlp import Receiver, receiver


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def tracing_to(collector: Receiver, *, ratio: float = 1.0) -> Tracing:
    return Tracing("tests", endpoint=f"{collector.url}/v1/traces", ratio=ratio)


def place_of(traceparent: str | None) -> tuple[str, str, bool]:
    """Return trace, span, and whether it is sampled, which is the lowest of the flags."""
    _, trace, span, flags = str(traceparent).split("-")
    return trace, span, bool(int(flags, 16) & 1)


class TestTracedQueue(QueueContract):
    """It is a queue like any other."""

    @pytest.fixture
    def queue(self, clock: ManualClock) -> Iterator[Queue]:
        with Tracing("tests", endpoint="http://127.0.0.1:9/") as tracing:
            yield tracing.queue(MemoryQueue(clock=clock))


def test_a_job_goes_on_with_the_trace_that_it_was_put_in_first(collector: Receiver) -> None:
    with tracing_to(collector) as tracing:
        queue = tracing.queue(MemoryQueue())
        [alone] = queue.enqueue(new_job())
        with tracing.entry("first", SpanKind.SERVER):
            [job_id] = queue.enqueue(new_job(dedupe_key="k"))
        with tracing.entry("second", SpanKind.SERVER):
            assert queue.enqueue(new_job(dedupe_key="k")) == [job_id]
    assert queue.get(alone).traceparent is None
    found = {span.name: span for span in collector.spans if span.name == "first"}
    sent = [span for span in collector.spans if span.name == "send test" and span.parent == found["first"].id]
    assert place_of(queue.get(job_id).traceparent) == (found["first"].trace, sent[0].id, True)


def test_a_trace_that_is_not_sampled_stays_so_wherever_it_goes_on(collector: Receiver) -> None:
    queue = MemoryQueue()
    with tracing_to(collector, ratio=0) as begins, begins.entry("a request", SpanKind.SERVER):
        begins.queue(queue).enqueue(new_job())
    trace = claimed(queue).job.traceparent
    with tracing_to(collector) as goes_on, goes_on.entry("a job", SpanKind.CONSUMER, parent=trace):
        assert place_of(goes_on.traceparent())[::2] == place_of(trace)[::2] == (place_of(trace)[0], False)
    assert collector.requests == []


def test_statements_are_told_without_their_text_and_values(collector: Receiver, tmp_path: Path) -> None:
    engine = sync_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with tracing_to(collector) as tracing:
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE films (title TEXT UNIQUE)"))  # outside of any request
        with tracing.entry("a request", SpanKind.SERVER), engine.begin() as connection:
            for title in ("hunter2", "hunter3"):
                connection.execute(sa.text("INSERT INTO films VALUES (:title)"), {"title": title})
            with pytest.raises(sa.exc.IntegrityError):
                connection.execute(sa.text("INSERT INTO films VALUES ('hunter2')"))
    with engine.begin() as connection:  # nobody listens any more
        assert connection.execute(sa.text("SELECT title FROM films")).all() == [("hunter2",), ("hunter3",)]
    engine.dispose()
    told = [(span.name, span.failed) for span in collector.spans if "db.system.name" in span.attributes]
    assert told == [("INSERT films", False), ("INSERT films", False), ("INSERT films", True)]
    assert {span.attributes.get("error.type") for span in collector.spans} == {None, "IntegrityError"}
    assert not any(b"hunter" in body for _, _, body in collector.requests)


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT assets.id \nFROM assets WHERE x", ("SELECT", "assets")),
        ('insert into "jobs" (a) VALUES (?) ON CONFLICT', ("INSERT", "jobs")),
        ("WITH chosen AS \n(SELECT id FROM other)\n UPDATE jobs SET a=1", ("UPDATE", "jobs")),
        ("WITH a AS (SELECT 1 FROM b) SELECT a FROM a", ("WITH", "b")),
        ("BEGIN; SELECT set_config('mamkit.actor', 'FROM x', true)", ("BEGIN", "")),
        ("DELETE FROM jobs", ("DELETE", "jobs")),
        ("", ("", "")),
    ],
)
def test_a_statement_is_named_by_its_kind_and_its_table(statement: str, summary: tuple[str, str]) -> None:
    assert summary_of(statement) == summary


def test_a_request_that_asks_for_much_tells_a_part_of_it_and_how_much_more_there_was(collector: Receiver) -> None:
    with tracing_to(collector) as tracing, tracing.entry("a request", SpanKind.SERVER):
        inner = MemoryStore()
        store = tracing.zones(Zones(staging=inner, masters=inner, previews=inner)).previews
        for number in range(DETAILS + 7):
            store.put(f"{number}", b"")
    spans = collector.spans
    [request] = [span for span in spans if span.name == "a request"]
    assert len(spans) == DETAILS + 1
    assert request.attributes["mamkit.spans_left_out"] == 7


def test_zones_that_are_one_store_stay_one() -> None:
    tracing = Tracing("tests", endpoint="http://127.0.0.1:9/")
    store = MemoryStore()
    zones = tracing.zones(Zones(staging=store, masters=store, previews=MemoryStore()))
    assert zones.staging is zones.masters
    assert zones.previews is not zones.masters


def test_a_step_that_fails_is_marked_by_its_type_and_its_text_stays_here(collector: Receiver) -> None:
    with tracing_to(collector) as tracing, tracing.entry("a job", SpanKind.CONSUMER):
        with pytest.raises(LeaseLostError), tracing.step("one"):
            raise LeaseLostError(uuid7(), 1)
        with pytest.raises(ValueError, match="hunter2"), tracing.step("other"):
            raise ValueError("hunter2")
    assert {span.name: span.attributes.get("error.type") for span in collector.spans} == {
        "a job": None,
        "one": "jobs.lease_lost",
        "other": "ValueError",
    }
    assert not any(b"hunter2" in body for _, _, body in collector.requests)


def test_outside_of_a_request_or_job_nothing_is_told(collector: Receiver) -> None:
    with tracing_to(collector) as tracing:
        with tracing.step("a step"):
            tracing.detail("a detail", seconds=0.1, attributes={})
        with tracing.entry("a request", SpanKind.SERVER) as span:
            span.end()
            with tracing.step("after the end of a stream's head"):
                tracing.detail("a detail", seconds=0.1, attributes={})
        assert tracing.traceparent() is None
        assert not get_current_span().get_span_context().is_valid
    assert [span.name for span in collector.spans] == ["a request"]


def refused_reports(_: Report) -> Ack:
    return Ack(wanted=True)


def test_a_job_that_fails_says_how_it_ended(collector: Receiver) -> None:
    queue = MemoryQueue()
    store = MemoryStore()
    with tracing_to(collector) as tracing:
        worker = TracedWorker(
            "worker",
            tracing=tracing,
            queue=queue,
            zones=Zones(staging=store, masters=store, previews=store),
            report=refused_reports,
            lease=timedelta(seconds=30),
        )
        queue.enqueue(new_job(kind="preview.part", payload={"not": "a part"}))
        with tracing.entry("POST /api/promote", SpanKind.SERVER):
            trace = tracing.traceparent()
        payload = {"version_id": str(uuid7()), "master_key": "masters/gone.mp4"}
        queue.enqueue(new_job(kind="preview.plan", payload=payload, traceparent=trace, max_attempts=1))
        while worker.run_once(threading.Event()):
            pass
        worker.close()
    jobs = {span.name: span for span in collector.spans if span.name.startswith("process")}
    later, dead = jobs["process preview.part"], jobs["process preview.plan"]
    assert (later.parent, later.attributes["mamkit.outcome"]) == ("", "released")
    assert later.attributes["error.type"] == "previews.invalid_message"
    assert place_of(trace) == (dead.trace, dead.parent, True)
    assert (dead.attributes["mamkit.outcome"], dead.attributes["error.type"]) == ("dead", "storage.not_found")
    assert (dead.failed, dead.attributes["mamkit.version_id"]) == (True, payload["version_id"])
    assert [span.name for span in collector.spans if span.parent == dead.id][-1] == "report failed"


def test_a_receiver_that_refuses_is_spoken_of_once_and_once_when_it_takes_again(
    collector: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    collector.status = 403
    with tracing_to(collector) as tracing:

        def tell_until(outcome: str, count: int) -> None:
            while tracing.counts()[outcome] < count:
                with tracing.entry("a request", SpanKind.SERVER):
                    pass
                waited.wait(0.05)

        waited = threading.Event()
        tell_until("refused", 1)
        tell_until("refused", tracing.counts()["refused"] + 1)
        collector.status = 200
        tell_until("sent", 1)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    host = collector.url.removeprefix("http://")
    assert said == [
        ("WARNING", f"{host} does not take traces: it answers 403; going on without"),
        ("INFO", f"{host} takes traces again"),
    ]
    assert tracing.counts()["dropped"] == 0
    assert tracing.counts()["sent"] == len(collector.spans)


def test_a_receiver_that_hangs_costs_a_bounded_number_of_spans_and_holds_up_nobody(collector: Receiver) -> None:
    collector.delay.clear()
    tracing = tracing_to(collector)
    many = 2 * ROOM
    for _ in range(many):
        entry, token = tracing.begin("a request", SpanKind.SERVER)
        tracing.leave(token)
        entry.end()
    held = many - tracing.counts()["dropped"]
    assert ROOM <= held <= ROOM + BATCH, "what waits, and what is on its way"
    tracing._outbox.close(0.2)
    assert tracing.counts() == {"sent": 0, "refused": 0, "dropped": many}
    entry, token = tracing.begin("late", SpanKind.SERVER)
    tracing.leave(token)
    entry.end()
    assert tracing.counts()["dropped"] == many + 1


def test_a_receiver_that_is_not_there_costs_spans_only() -> None:
    tracing = Tracing("tests", endpoint=f"http://127.0.0.1:{free_port()}/v1/traces")
    with tracing.entry("a request", SpanKind.SERVER):
        pass
    tracing._outbox.close(0.5)
    counts = tracing.counts()
    assert (counts["sent"], counts["refused"] + counts["dropped"]) == (0, 1)


def test_a_process_that_was_forked_off_sends_nothing_that_is_its_parent_s(collector: Receiver) -> None:
    with tracing_to(collector) as tracing:
        with tracing.entry("the parent's", SpanKind.SERVER):
            pass
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is what is tried
            child = os.fork()
        if child == 0:
            try:
                with tracing.entry("the child's", SpanKind.SERVER):
                    pass
                tracing._outbox.close(5)
            finally:
                os._exit(0 if tracing.counts()["sent"] == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert [span.name for span in collector.spans] == ["the parent's"]


def test_lines_of_the_log_name_trace_and_span(collector: Receiver) -> None:
    assert logs._add_noted(None, "info", {"event": "x"}) == {"event": "x"}
    with tracing_to(collector) as tracing, tracing.entry("a request", SpanKind.SERVER):
        line = logs._add_noted(None, "info", {"event": "x"})
    [span] = collector.spans
    assert line == {"event": "x", "trace_id": span.trace, "span_id": span.id}
    assert logs._add_noted(None, "info", {"event": "x"}) == {"event": "x"}


def test_headers_are_read_as_the_specification_writes_them() -> None:
    given = WorkerSettings.load(otel_exporter_otlp_headers="X-Key=a%3Db, authorization=Basic%20eA==,,empty=")
    assert otlp_headers(given) == {"x-key": "a=b", "authorization": "Basic eA==", "empty": ""}
    assert "eA" not in repr(given)
