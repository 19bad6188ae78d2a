"""What several services say at `/metrics`, in the Prometheus text format 0.0.4."""

from collections.abc import Mapping

from mamkit.clock import utc_now
from mamkit.jobs import Queue, QueueError

__all__ = ["TEXT", "family", "label", "queue_lines", "span_lines"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The format's media type."""


def family(name: str, kind: str, text: str) -> list[str]:
    """Return the lines before the samples of a metric."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def label(value: str) -> str:
    """Return the value of a label as it stands between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def queue_lines(queue: Queue) -> list[str]:
    """Return how full the queue is, and only that it is away where it does not answer."""
    lines = family("mamkit_queue_up", "gauge", "Whether the queue answers.")
    try:
        depth = queue.depth()
    except QueueError:
        return [*lines, "mamkit_queue_up 0"]
    oldest = depth.oldest_waiting
    age = 0.0 if oldest is None else max(0.0, (utc_now() - oldest).total_seconds())
    lines.append("mamkit_queue_up 1")
    lines += family("mamkit_queue_jobs", "gauge", "Jobs in each state.")
    lines += [f'mamkit_queue_jobs{{state="{state}"}} {count}' for state, count in depth.counts.items()]
    lines += family("mamkit_queue_oldest_seconds", "gauge", "How long the oldest runnable job has waited.")
    return [*lines, f"mamkit_queue_oldest_seconds {age:.3f}"]


def span_lines(counts: Mapping[str, int]) -> list[str]:
    """Return what became of the spans of this process.

    Args:
        counts: As `mamkit_apps.tracing.tracing.Tracing.counts` says; none where no traces are made.
    """
    name = "mamkit_traces_spans_total"
    lines = family(name, "counter", "Spans of traces by what became of them.")
    return [*lines, *(f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in counts.items())]
