"""What all benchmarks share: rows, alternating rounds, facts of the machine, a table or JSON."""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

__all__ = ["Row", "alternate", "main", "median"]

ROUNDS, QUICK_ROUNDS = 5, 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement beside its peer's.

    `ratio` is ours to the peer's; the target is the least that it may be, or the most where `at_most` is set.
    """

    name: str
    ours: float
    unit: str
    peer: str
    peer_value: float | None
    target: float
    ratio: float | None
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the target is met; never where the peer is missing."""
        if self.ratio is None:
            return False
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def as_dict(self) -> dict[str, object]:
        """Return the row as one object of the report."""
        row = asdict(self)
        at_most = row.pop("at_most")
        row["target"] = f"{'<=' if at_most else '>='} {self.target:g}"
        return row | {"holds": self.holds}


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure all sides in turn, `rounds` times, each round beginning with another one."""
    names = list(sides)
    found: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for offset in range(len(names)):
            name = names[(turn + offset) % len(names)]
            found[name].append(sides[name]())
    return found


def main(name: str, measure: Callable[[int], list[Row]]) -> None:
    """Read the options, measure with so many rounds, print; exit status 1 if a row does not hold."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    rows = measure(QUICK_ROUNDS if options.quick else ROUNDS)
    if options.json:
        report = {"benchmark": name, "machine": _machine(), "rows": [row.as_dict() for row in rows]}
        print(json.dumps(report, indent=2))
    else:
        print(", ".join(f"{key} {value}" for key, value in _machine().items()))
        for row in rows:
            peer = "not here" if row.peer_value is None else f"{row.peer_value:,.4g}"
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
            target = row.as_dict()["target"]
            print(
                f"{row.name:<44} {row.ours:>12,.4g} {row.unit:<7} {row.peer:<34} {peer:>10}"
                f"  ratio {ratio:>6} (target {target}) {'holds' if row.holds else 'DOES NOT HOLD'}"
            )
    sys.exit(0 if all(row.holds for row in rows) else 1)


def _machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
