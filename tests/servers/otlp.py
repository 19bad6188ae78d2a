"""A receiver of traces: takes OTLP over HTTP, decodes the protobuf, and keeps what came."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

__all__ = ["Receiver", "Told", "receiver"]


@dataclass(frozen=True, kw_only=True)
class Told:
    """A span that came."""

    service: str
    instance: str
    trace: str
    id: str
    parent: str
    """Empty where a trace begins."""
    name: str
    kind: int
    attributes: dict[str, str | int | float | bool]
    failed: bool
    start: int
    end: int


class Receiver:
    """What came, and how it is answered."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.delay = threading.Event()
        """Until it is set, nothing is answered."""
        self.delay.set()

    @property
    def spans(self) -> list[Told]:
        """Every span that was taken."""
        return [span for _, _, body in list(self.requests) for span in _spans(body)]

    def until(self, condition: Callable[[list[Told]], bool], what: str, *, seconds: float = 60) -> list[Told]:
        """Return the spans once a condition holds of them."""
        deadline = time.monotonic() + seconds
        while not condition(found := self.spans):
            assert time.monotonic() < deadline, f"{what}: {sorted({span.name for span in found})}"
            time.sleep(0.05)
        return found


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            here.delay.wait()
            if here.status == 200:
                here.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(here.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield here
    finally:
        here.delay.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> Iterator[Told]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        facts = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                values = {each.key: each.value for each in span.attributes}
                yield Told(
                    service=facts["service.name"],
                    instance=facts["service.instance.id"],
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.kind,
                    attributes={key: getattr(value, str(value.WhichOneof("value"))) for key, value in values.items()},
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                )
