"""What the edge says about itself: counts for Prometheus, and a log that holds no token."""

import json
import sys
import time
from bisect import bisect_left
from collections import Counter
from pathlib import Path
from typing import TextIO

from mamkit_apps.edge.request import Request

__all__ = ["AccessLog", "Metrics"]

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
LINES = 256  # of the log that are written at once; what is held back is written every second


class Metrics:
    """Counts since the process began, in the text format of Prometheus, version 0.0.4."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._latency = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._sent = 0

    def count(self, request: Request, seconds: float) -> None:
        """Count an answer.

        Args:
            request: The request.
            seconds: From its head to the head of the answer, or to the end of one without.
        """
        self._requests[request.method, request.status] += 1
        self._latency[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds
        self._sent += request.sent
        if request.outcome:
            self._outcomes[request.outcome] += 1

    def refuse(self, code: str) -> None:
        """Count a refusal by the code of its error."""
        self._refusals[code] += 1

    def text(self, *, streams: int, cache_bytes: int, cache_objects: int) -> str:
        """Return everything, with what is so at this moment.

        Args:
            streams: Answers under way.
            cache_bytes: Memory that objects take.
            cache_objects: How many are cached.
        """
        lines: list[str] = []

        def family(name: str, kind: str, about: str, samples: list[tuple[str, float]]) -> None:
            lines.append(f"# HELP mamkit_edge_{name} {about}")
            lines.append(f"# TYPE mamkit_edge_{name} {kind}")
            lines.extend(f"mamkit_edge_{name}{labels} {value:.12g}" for labels, value in samples)

        requests = [(f'{{method="{method}",status="{status}"}}', n) for (method, status), n in self._requests.items()]
        family("requests_total", "counter", "Requests by method and status.", list(requests))
        family("sent_bytes_total", "counter", "Bytes of bodies sent.", [("", self._sent)])
        outcomes = [(f'{{outcome="{name}"}}', n) for name, n in self._outcomes.items()]
        family("outcomes_total", "counter", "How objects were had: hit, miss, stream and others.", list(outcomes))
        refusals = [(f'{{code="{code}"}}', n) for code, n in self._refusals.items()]
        family("refusals_total", "counter", "Refused requests by the code of the error.", list(refusals))
        family("streams", "gauge", "Answers under way.", [("", streams)])
        family("cache_bytes", "gauge", "Memory that objects take.", [("", cache_bytes)])
        family("cache_objects", "gauge", "Objects in the cache.", [("", cache_objects)])
        lines.append("# HELP mamkit_edge_first_byte_seconds Time to the head of an answer.")
        lines.append("# TYPE mamkit_edge_first_byte_seconds histogram")
        total = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._latency, strict=True):
            total += count
            lines.append(f'mamkit_edge_first_byte_seconds_bucket{{le="{bound}"}} {total}')
        lines.append(f"mamkit_edge_first_byte_seconds_sum {self._seconds:.12g}")
        lines.append(f"mamkit_edge_first_byte_seconds_count {total}")
        return "\n".join(lines) + "\n"


class AccessLog:
    """One JSON object a line and request; the token stands there as its id only.

    Args:
        target: Path of a file that is appended to, or `-` for standard output.
    """

    def __init__(self, target: str) -> None:
        self._file: TextIO = sys.stdout if target == "-" else Path(target).open("a", encoding="utf-8")  # noqa: SIM115
        self._lines: list[str] = []

    def note(self, request: Request, seconds: float) -> None:
        """Log a request that is over.

        Args:
            request: The request.
            seconds: How long it took, to its last byte.
        """
        line = {
            "time": time.time(),
            "client": request.client,
            "method": request.method,
            "key": request.key,
            "token_id": request.token,
            "status": request.status,
            "sent": request.sent,
            "seconds": round(seconds, 6),
            "outcome": request.outcome,
        }
        self._lines.append(json.dumps(line, ensure_ascii=True))
        if len(self._lines) >= LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Write what is held back and close the file."""
        self.flush()
        if self._file is not sys.stdout:
            self._file.close()
