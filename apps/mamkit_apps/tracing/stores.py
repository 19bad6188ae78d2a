"""A span for each object that a request or a job reads, writes, copies or deletes."""

from collections.abc import Callable
from dataclasses import replace

from mamkit.storage import ObjectNotFoundError, ObjectStore, ObservedStore, Operation, Zones

__all__ = ["traced_zones"]


def traced_zones(zones: Zones, tell: Callable[..., None]) -> Zones:
    """Return zones that tell of what is asked of them.

    Args:
        zones: Do the work.
        tell: Is told of each operation: `Tracing.detail`.
    """

    def heard(operation: Operation) -> None:
        attributes: dict[str, str | int] = {"mamkit.key": operation.key}
        if operation.size is not None:
            attributes["mamkit.size"] = operation.size
        error = operation.error
        if error == ObjectNotFoundError.code:  # an answer like another: who asks has a use for it
            attributes["mamkit.answer"], error = error, None
        tell(f"storage {operation.name}", seconds=operation.seconds, attributes=attributes, error=error)

    observed: dict[int, ObjectStore] = {}  # on local disk the three are one, and stay one
    for store in (zones.staging, zones.masters, zones.previews):
        observed.setdefault(id(store), ObservedStore(store, heard))
    return replace(
        zones,
        staging=observed[id(zones.staging)],
        masters=observed[id(zones.masters)],
        previews=observed[id(zones.previews)],
    )
