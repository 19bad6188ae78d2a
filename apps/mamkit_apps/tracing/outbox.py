"""Where spans wait to be sent: bounded, sent by a thread of its own, and never in anybody's way."""

import logging
import os
import re
import threading
from collections import deque
from urllib.parse import urlsplit

from mamkit.errors import MissingExtraError

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
except ImportError as error:
    raise MissingExtraError("telemetry", package="opentelemetry-exporter-otlp-proto-http") from error

__all__ = ["Outbox"]

log = logging.getLogger(__name__)

ROOM = 4096  # spans that wait; with their attributes some 2 KiB each
BATCH = 512  # spans of one request; the default of the specification's batching processor
EVERY = 1.0  # seconds after which fewer than that are sent as well
TIMEOUT = 5.0  # seconds that one batch may take, with all its tries
EXPORTER_LOG = logging.getLogger(OTLPSpanExporter.__module__)


class Outbox(SpanProcessor):
    """Sends the spans that have ended, a batch at a time; what finds no room, or is not taken, is counted and gone.

    A process that was forked off sends nothing: its copy of what waits is its parent's to send.

    Args:
        endpoint: Where spans are posted to.
        headers: Sent along.
        exporter: Sends a batch; None posts it.
    """

    def __init__(self, endpoint: str, headers: dict[str, str], *, exporter: SpanExporter | None = None) -> None:
        self._host = urlsplit(endpoint).netloc  # the path may hold a key of its owner's
        self._exporter = exporter or OTLPSpanExporter(endpoint=endpoint, headers=headers, timeout=TIMEOUT)
        self._waiting: deque[ReadableSpan] = deque()
        self._change = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._counts = {"sent": 0, "refused": 0, "dropped": 0}
        self._under_way = 0
        self._failing = False
        self._said: list[str] = []

    def counts(self) -> dict[str, int]:
        """Return how many spans were sent, refused and dropped."""
        return dict(self._counts)  # without the lock, which a process that was forked off may find held for ever

    def on_end(self, span: ReadableSpan) -> None:
        """Let a span wait to be sent, if it is sampled and there is room."""
        context = span.context
        if context is None or not context.trace_flags.sampled or os.getpid() != self._process:
            return
        with self._change:
            if self._closed or len(self._waiting) >= ROOM:
                self._counts["dropped"] += 1
                return
            self._waiting.append(span)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
                self._thread.start()
            if len(self._waiting) >= BATCH:
                self._change.notify()

    def close(self, timeout: float) -> None:
        """Send what waits, for as long as that may take, and then no more.

        Args:
            timeout: Seconds; a receiver that took nothing lately is given a tenth of it.
        """
        if os.getpid() != self._process:
            return
        with self._change:
            self._closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(timeout / 10 if self._failing else timeout)
        self._exporter.shutdown()  # ends the pauses between two tries
        with self._change:
            self._counts["dropped"] += len(self._waiting) + self._under_way
            self._waiting.clear()
            self._under_way = 0

    def _run(self) -> None:
        EXPORTER_LOG.addFilter(self._listen)  # it tells of each try, and we of the first and the last
        try:
            while batch := self._next():
                self._send(batch)
        finally:
            EXPORTER_LOG.removeFilter(self._listen)

    def _next(self) -> list[ReadableSpan]:
        """Return what is to be sent next, as soon as there is something; nothing once there will be no more."""
        with self._change:
            while True:
                self._change.wait_for(lambda: self._closed or len(self._waiting) >= BATCH, EVERY)
                if self._waiting or self._closed:
                    self._under_way = min(BATCH, len(self._waiting))
                    return [self._waiting.popleft() for _ in range(self._under_way)]

    def _send(self, batch: list[ReadableSpan]) -> None:
        self._said.clear()
        try:
            taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:  # whatever it is, the next batch may do better
            log.exception("sending traces failed")
            taken = False
        with self._change:
            self._counts["sent" if taken else "refused"] += self._under_way  # of which nobody has despaired meanwhile
            self._under_way = 0
        if taken == self._failing:
            self._failing = not taken
            if taken:
                log.info("%s takes traces again", self._host)
            else:
                log.warning("%s does not take traces: %s; going on without", self._host, self._reason())

    def _listen(self, record: logging.LogRecord) -> bool:
        if threading.current_thread() is not self._thread:
            return True
        self._said.append(record.getMessage())
        return False

    def _reason(self) -> str:
        codes = re.findall(r"code: (\d{3})", " ".join(self._said))  # of the texts no more: they hold URLs
        return f"it answers {codes[-1]}" if codes else "no answer in time"
