"""What the benchmarks share: rows, medians of runs that alternate, and one way of showing them."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

__all__ = ["Row", "alternate", "main", "rate"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison."""

    name: str
    ours: float | None
    unit: str
    peer: str
    """What it is held against; empty where it is only measured."""
    peer_value: float | None = None
    target: str = ""
    """`>= 0.9` or `<= 1.5` of the ratio; empty where it is only measured."""

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's."""
        return None if self.ours is None or not self.peer_value else self.ours / self.peer_value

    @property
    def holds(self) -> bool | None:
        """Whether the ratio is as the target says; None without a target."""
        if not self.target:
            return None
        relation, _, bound = self.target.partition(" ")
        if self.ratio is None:
            return False
        return self.ratio >= float(bound) if relation == ">=" else self.ratio <= float(bound)


def rate(work: Callable[[], None], count: int) -> float:
    """Return how often a second something is done that `work` does `count` times."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def alternate(runs: int, *measure: Callable[[], float]) -> list[float]:
    """Return the median of each measurement, taken in turns."""
    taken: list[list[float]] = [[] for _ in measure]
    for _ in range(runs):
        for values, one in zip(taken, measure, strict=True):
            values.append(one())
    return [statistics.median(values) for values in taken]


def main(name: str, rows: Callable[[bool], Sequence[Row]]) -> None:
    """Measure and show; the status is 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    found = rows(arguments.quick)
    machine = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    if arguments.json:
        shown = [{**asdict(row), "ratio": row.ratio, "holds": row.holds} for row in found]
        print(json.dumps({"benchmark": name, "machine": machine, "rows": shown}))
    else:
        print(f"{name} on {machine['system']}, Python {machine['python']}, {machine['cpus']} CPUs")
        for row in found:
            ours = "-" if row.ours is None else f"{row.ours:,.1f}"
            peer = "" if row.peer_value is None else f"  {row.peer} {row.peer_value:,.1f}"
            ratio = "" if row.ratio is None else f"  ratio {row.ratio:.2f}"
            target = "" if not row.target else f"  target {row.target}: {'holds' if row.holds else 'MISSED'}"
            print(f"{row.name}: {ours} {row.unit}{peer}{ratio}{target}")
    sys.exit(1 if any(row.holds is False for row in found) else 0)
