"""A span for each object that a request or a job reads, writes, copies or deletes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mamkit.storage import ObjectNotFoundError, ObjectStore, ObservedStore, Operation, Zones

if TYPE_CHECKING:
    from mamkit_apps.tracing.tracing import Tracing

__all__ = ["traced_zones"]


def traced_zones(zones: Zones, tracing: "Tracing") -> Zones:
    """Return zones that tell of what is asked of them."""

    def tell(operation: Operation) -> None:
        attributes: dict[str, str | int] = {"mamkit.key": operation.key}
        if operation.size is not None:
            attributes["mamkit.size"] = operation.size
        error = operation.error
        if error == ObjectNotFoundError.code:  # an answer like another: who asks has a use for it
            attributes["mamkit.answer"], error = error, None
        tracing.detail(f"storage {operation.name}", seconds=operation.seconds, attributes=attributes, error=error)

    observed: dict[int, ObjectStore] = {}  # on local disk the three are one, and stay one
    for store in (zones.staging, zones.masters, zones.previews):
        observed.setdefault(id(store), ObservedStore(store, tell))
    return replace(
        zones,
        staging=observed[id(zones.staging)],
        masters=observed[id(zones.masters)],
        previews=observed[id(zones.previews)],
    )
