"""A worker whose jobs are part of the traces of those who asked for them."""

from contextlib import AbstractContextManager
from typing import Any, Literal

from opentelemetry.trace import SpanKind

from mamkit.jobs import Lease, Queue
from mamkit.previews import Ack, PreviewWorker, Progress, Report, Reporter
from mamkit.storage import Zones
from mamkit_apps.tracing.tracing import Attributes, Tracing

__all__ = ["TracedWorker"]


class TracedWorker(PreviewWorker):
    """A `PreviewWorker` that tells of its jobs, of what these ask of stores and of the API, and of child processes.

    A child knows nothing of it: it has no network, so its span is told by the worker that runs it.

    Args:
        name: As for `PreviewWorker`.
        tracing: Tells.
        queue: As for `PreviewWorker`.
        zones: As for `PreviewWorker`.
        report: As for `PreviewWorker`; its requests carry `Tracing.headers`.
        more: The other arguments of `PreviewWorker`.
    """

    def __init__(
        self, name: str, *, tracing: Tracing, queue: Queue, zones: Zones, report: Reporter, **more: Any
    ) -> None:
        def told(what: Report) -> Ack:
            # Progress is told twice a second, and as good as nothing follows from it.
            around = (
                tracing.muted() if isinstance(what, Progress) else tracing.step(f"report {what.type}", SpanKind.CLIENT)
            )
            with around:
                return report(what)

        super().__init__(name, queue=tracing.queue(queue), zones=tracing.zones(zones), report=told, **more)
        self._tracing = tracing

    def around(self, step: Literal["job", "probe", "encode"], lease: Lease) -> AbstractContextManager[object]:
        """See `PreviewWorker.around`."""
        if step != "job":
            return self._tracing.step(step)
        job = lease.job
        return self._tracing.entry(
            f"process {job.kind}", SpanKind.CONSUMER, parent=job.traceparent, attributes=_facts(lease)
        )


def _facts(lease: Lease) -> Attributes:
    job = lease.job
    facts: dict[str, str | int] = {
        "messaging.operation.type": "process",
        "messaging.message.id": str(job.id),
        "mamkit.fence": lease.fence,
        "mamkit.attempt": job.attempts,
    }
    version, part = job.payload.get("version_id"), job.payload.get("part")
    if isinstance(version, str):
        facts["mamkit.version_id"] = version
    if isinstance(part, dict):
        facts["mamkit.part"] = f"{part.get('kind')} {part.get('index')}"
    return facts
