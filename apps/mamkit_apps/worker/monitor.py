"""`/healthz` and `/metrics` of a worker: a small HTTP server in a thread of its own, for those who watch the worker.

Metrics are in the Prometheus text format 0.0.4. Bind it to an address that only the operator's network reaches.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

from mamkit.previews import Card, Room
from mamkit.transcode import Codec
from mamkit_apps.prometheus import TEXT, family, label, queue_lines, span_lines
from mamkit_apps.worker.metered import BUCKETS, MeteredQueue

__all__ = ["metrics_text", "monitor"]


def metrics_text(
    queue: MeteredQueue, *, room: Room | None = None, spans: Callable[[], Mapping[str, int]] = dict
) -> str:
    """Return everything that is measured; without the queue's own numbers while it cannot be reached.

    Args:
        queue: Of the worker.
        room: Of its child processes; None leaves out what they take.
        spans: Says what became of the spans of its traces.
    """
    numbers = queue.numbers()
    lines = queue_lines(queue)
    lines += family("mamkit_worker_jobs_in_hand", "gauge", "Jobs that this worker holds.")
    lines.append(f"mamkit_worker_jobs_in_hand {queue.in_hand()}")
    lost = sum(count for (_, outcome), count in numbers.ended.items() if outcome == "lost")
    lines += family("mamkit_worker_leases_lost_total", "counter", "Leases that this worker lost.")
    lines.append(f"mamkit_worker_leases_lost_total {lost}")
    lines += family("mamkit_worker_jobs_total", "counter", "Jobs that this worker ended, by outcome.")
    for (kind, outcome), count in sorted(numbers.ended.items()):
        lines.append(f'mamkit_worker_jobs_total{{kind="{label(kind)}",outcome="{outcome}"}} {count}')
    lines += family("mamkit_worker_job_seconds", "histogram", "How long the jobs took that were done.")
    for kind, seconds in sorted(numbers.seconds.items()):
        name, done = f'kind="{label(kind)}"', numbers.ended[kind, "done"]
        for bucket in BUCKETS:
            lines.append(f'mamkit_worker_job_seconds_bucket{{{name},le="{bucket}"}} {numbers.below[kind, bucket]}')
        lines.append(f'mamkit_worker_job_seconds_bucket{{{name},le="+Inf"}} {done}')
        lines.append(f"mamkit_worker_job_seconds_sum{{{name}}} {seconds:.3f}")
        lines.append(f"mamkit_worker_job_seconds_count{{{name}}} {done}")
    lines += family("mamkit_worker_part_seconds_total", "counter", "How long the parts took that were made.")
    for part, seconds in sorted(numbers.part_seconds.items()):
        lines.append(f'mamkit_worker_part_seconds_total{{part="{label(part)}"}} {seconds:.3f}')
    lines += family("mamkit_worker_media_seconds_total", "counter", "How long the parts play that were made.")
    for part, seconds in sorted(numbers.media_seconds.items()):
        lines.append(f'mamkit_worker_media_seconds_total{{part="{label(part)}"}} {seconds:.3f}')
    lines += family("mamkit_worker_errors_total", "counter", "Tries of jobs that failed, by the code of the error.")
    for code, count in sorted(numbers.errors.items()):
        lines.append(f'mamkit_worker_errors_total{{code="{label(code)}"}} {count}')
    if room is not None:
        lines += family("mamkit_worker_memory_taken_bytes", "gauge", "What running jobs are thought to take.")
        lines.append(f"mamkit_worker_memory_taken_bytes {room.taken}")
        lines += _card_lines(room.card)
    lines += span_lines(spans())
    return "\n".join(lines) + "\n"


def _card_lines(card: Card | None) -> list[str]:
    devices = frozenset() if card is None else card.devices.keys()
    sessions, taken, made, failed = (0,) * 4 if card is None else (card.sessions, card.taken, card.made, card.failed)
    lines = family("mamkit_worker_card_usable", "gauge", "Whether the card encodes a codec, as far as is known.")
    for codec in get_args(Codec):
        lines.append(f'mamkit_worker_card_usable{{codec="{codec}"}} {int(codec in devices)}')
    lines += family("mamkit_worker_card_sessions", "gauge", "Renditions that the card may encode at once.")
    lines.append(f"mamkit_worker_card_sessions {sessions}")
    lines += family("mamkit_worker_card_sessions_taken", "gauge", "Renditions that the card encodes now.")
    lines.append(f"mamkit_worker_card_sessions_taken {taken}")
    lines += family("mamkit_worker_card_parts_total", "counter", "Parts of pictures given to the card, by outcome.")
    for outcome, count in (("made", made), ("failed", failed)):
        lines.append(f'mamkit_worker_card_parts_total{{outcome="{outcome}"}} {count}')
    return lines


def _health(room: Room | None) -> str:
    """Return that the process serves, and what encodes; looks at nothing else, so that a dead queue restarts nobody."""
    devices = {} if room is None or room.card is None else room.card.devices
    return json.dumps({"status": "ok", "encoders": {codec: devices.get(codec, "cpu") for codec in get_args(Codec)}})


@contextmanager
def monitor(
    queue: MeteredQueue,
    listener: socket.socket | None,
    *,
    room: Room | None = None,
    spans: Callable[[], Mapping[str, int]] = dict,
) -> Iterator[None]:
    """Answer `/healthz` and `/metrics` while the block runs.

    Args:
        queue: Whose numbers are shown.
        listener: Listening socket, which is closed at the end; None answers nothing.
        room: As for `metrics_text`.
        spans: As for `metrics_text`.
    """
    if listener is None:
        yield
        return

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # seconds for which a silent client is borne

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._answer(HTTPStatus.OK, "application/json", _health(room))
                case "/metrics":
                    self._answer(HTTPStatus.OK, TEXT, metrics_text(queue, room=room, spans=spans))
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, TEXT, "not found\n")

        def _answer(self, status: HTTPStatus, content_type: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: somebody asks every few seconds."""

        def version_string(self) -> str:
            return "mamkit"

    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
