"""What all benchmarks share: rows, medians, facts of the machine, and how they are printed."""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Row", "machine", "main", "median"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure beside a peer's.

    Attributes:
        name: What was measured.
        ours: Our figure; larger is better.
        unit: Of both figures.
        peer: Whom it is held against.
        peer_value: Its figure; None where it could not be measured.
        target: What `ratio` must be at least.
    """

    name: str
    ours: float
    unit: str
    peer: str
    peer_value: float | None
    target: float

    @property
    def ratio(self) -> float | None:
        """Our figure over the peer's."""
        return self.ours / self.peer_value if self.peer_value else None

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        return self.ratio is not None and self.ratio >= self.target

    def as_json(self) -> dict[str, Any]:
        """Return the row as `--json` prints it."""
        return {**asdict(self), "ratio": self.ratio, "holds": self.holds}


def median(values: Sequence[float]) -> float:
    """Return the middle of the values."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version(), "system": platform.platform()}


def main(name: str, measure: Callable[[bool], list[Row]]) -> None:
    """Measure and print, as the command line says.

    Args:
        name: Of the benchmark.
        measure: Called with whether it is to be quick.
    """
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows = measure(arguments.quick)
    if arguments.json:
        print(json.dumps({"benchmark": name, "machine": machine(), "rows": [row.as_json() for row in rows]}))
        return
    for row in rows:
        peer = "missing here" if row.peer_value is None else f"{row.peer_value:,.1f}"
        ratio = "none" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "holds" if row.holds else "DOES NOT HOLD"
        print(f"{row.name}: {row.ours:,.1f} {row.unit}, {row.peer} {peer}; {ratio} (≥ {row.target}) {verdict}")
    sys.stdout.flush()
