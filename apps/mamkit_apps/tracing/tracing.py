"""Spans: one for each request and job, and below it what that asked of others."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from mamkit import __version__
from mamkit.errors import MamkitError, MissingExtraError
from mamkit.jobs import Queue
from mamkit.storage import Zones
from mamkit_apps import logs
from mamkit_apps.tracing.databases import Statements
from mamkit_apps.tracing.entries import ENTRY, Entry, current_entry, mark
from mamkit_apps.tracing.outbox import Outbox
from mamkit_apps.tracing.queue import TracedQueue
from mamkit_apps.tracing.stores import traced_zones

try:
    from opentelemetry.context import Context, attach, detach, set_value
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    from opentelemetry.trace import (
        NonRecordingSpan,
        Span,
        SpanContext,
        SpanKind,
        TraceFlags,
        get_current_span,
        set_span_in_context,
    )
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise MissingExtraError("telemetry", package="opentelemetry-sdk") from error

__all__ = ["Attributes", "Tracing"]

Attributes = Mapping[str, str | int | float | bool]

PATIENCE = 3.0  # seconds to send what waits when the process ends; a supervisor waits for 10
NANOSECONDS = 1_000_000_000
W3C = TraceContextTextMapPropagator()


class Tracing:
    """The traces of one process; a context manager, which listens while it is entered and sends the rest at its end.

    Args:
        service: Name of the service.
        endpoint: Where spans are posted to, by OTLP over HTTP with protobuf.
        headers: Sent along.
        ratio: Of the traces that begin here, how many are told; others are as whoever began them decided.
        exporter: Sends spans; None posts them to `endpoint`.
    """

    def __init__(
        self,
        service: str,
        *,
        endpoint: str,
        headers: dict[str, str] | None = None,
        ratio: float = 1.0,
        exporter: SpanExporter | None = None,
    ) -> None:
        self._outbox = Outbox(endpoint, headers or {}, exporter=exporter)
        # `OTEL_RESOURCE_ATTRIBUTES` is read by `Resource`; what stands here comes before it.
        named = {"service.name": service, "service.version": __version__, "service.instance.id": _instance()}
        provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(ratio),
            resource=Resource.create(named),
            span_limits=SpanLimits(max_attributes=32, max_attribute_length=256),
            shutdown_on_exit=False,  # a process that ends does so by leaving this
        )
        provider.add_span_processor(self._outbox)
        self._tracer = provider.get_tracer("mamkit", __version__)
        self._statements = Statements(self.detail)

    def __enter__(self) -> Self:
        self._statements.listen()
        logs.trace_with(fields)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._statements.stop()
        logs.trace_with(None)
        self._outbox.close(PATIENCE)

    def counts(self) -> dict[str, int]:
        """Return how many spans were `sent`, `refused` by who should take them, and `dropped` for want of room."""
        return self._outbox.counts()

    def zones(self, zones: Zones) -> Zones:
        """Return zones that tell of what is asked of them."""
        return traced_zones(zones, self.detail)

    def queue(self, queue: Queue) -> Queue:
        """Return a queue whose jobs go on with the trace in which they are put in."""
        return TracedQueue(queue, step=self.step, traceparent=self.traceparent)

    def begin(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: str | None = None,
        attributes: Attributes | None = None,
        started: int | None = None,
    ) -> tuple[Entry, object]:
        """Begin a request or a job; return it, and what `leave` takes back.

        Args:
            name: Of its span.
            kind: Of its span.
            parent: A traceparent; None, or one that is none, begins a trace.
            attributes: Of its span.
            started: When it began, in nanoseconds since 1970; None: now.
        """
        above = Context() if parent is None else W3C.extract({"traceparent": parent}, Context())
        span = self._tracer.start_span(name, above, kind, attributes, start_time=started)
        entry = Entry(span)
        return entry, attach(set_value(ENTRY, entry, set_span_in_context(span, Context())))

    def leave(self, token: object) -> None:
        """Go back to what was before `begin`, in the same task or thread."""
        detach(token)  # type: ignore[arg-type] # what `attach` gave

    @contextmanager
    def entry(
        self, name: str, kind: SpanKind, *, parent: str | None = None, attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """Serve a request or a job in the block; as for `begin`."""
        entry, token = self.begin(name, kind, parent=parent, attributes=attributes)
        try:
            with _failing(entry.span):
                yield entry.span
        finally:
            self.leave(token)
            entry.end()

    @contextmanager
    def step(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, *, attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """Tell of a step of the present request or job while the block runs; outside of one, of nothing."""
        if current_entry() is None:
            yield get_current_span()
            return
        span = self._tracer.start_span(name, kind=kind, attributes=attributes)
        token = attach(set_span_in_context(span))
        try:
            with _failing(span):
                yield span
        finally:
            detach(token)
            span.end()

    def detail(self, name: str, *, seconds: float, attributes: Attributes, error: str | None = None) -> None:
        """Tell that something was asked of others, which has just ended; outside of a request or job, do nothing.

        Args:
            name: Of its span.
            seconds: How long it took.
            attributes: Of its span.
            error: What went wrong, by its code.
        """
        entry = current_entry()
        if entry is None or not entry.takes_detail():
            return
        ended = time.time_ns()
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes=attributes, start_time=ended - round(seconds * NANOSECONDS)
        )
        if error is not None:
            mark(span, error)
        span.end(ended)

    def headers(self) -> dict[str, str]:
        """Return what a request to another service carries, so that what it does becomes part of this trace."""
        carried: dict[str, str] = {}
        W3C.inject(carried)
        return {name: value for name, value in carried.items() if name == "traceparent"}

    def traceparent(self) -> str | None:
        """Return where this is in a trace, for what is done later or elsewhere; None outside of one."""
        return self.headers().get("traceparent")

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Tell nothing of what happens in the block, here and in services that it asks."""
        present = get_current_span().get_span_context()
        still = SpanContext(present.trace_id, present.span_id, is_remote=False, trace_flags=TraceFlags(0))
        token = attach(set_value(ENTRY, None, set_span_in_context(NonRecordingSpan(still))))
        try:
            yield
        finally:
            detach(token)


def fields() -> dict[str, str]:
    """Return what a line of the log says of the trace that it belongs to."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


@contextmanager
def _failing(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        mark(span, error.code if isinstance(error, MamkitError) else type(error).__name__)
        raise


def _instance() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"
