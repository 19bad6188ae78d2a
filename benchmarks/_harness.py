"""What all benchmarks share: rows, runs that alternate, facts of the machine, a table or JSON."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

__all__ = [
    "QUICK_ROUNDS",
    "ROUNDS",
    "Row",
    "alternate",
    "main",
    "median",
    "paired",
    "rate",
    "ratio_of_rounds",
    "rounds_of",
]

T = TypeVar("T")

ROUNDS, QUICK_ROUNDS = 5, 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement, beside its peer's where there is one."""

    name: str
    ours: float | None
    unit: str
    peer: str
    """What it is held against; empty where it is only measured."""
    peer_value: float | None = None
    """None where the peer is missing on this machine."""
    target: str = ""
    """`>= 0.9` or `<= 1.5` of the ratio; empty where it is only measured."""
    paired: float | None = None
    """The ratio, where it is the median of the ratios of each round rather than the ratio of the medians."""

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's."""
        if self.paired is not None:
            return self.paired
        return None if self.ours is None or not self.peer_value else self.ours / self.peer_value

    @property
    def holds(self) -> bool | None:
        """Whether the ratio is as the target says, which it never is without a peer; None without a target."""
        if not self.target:
            return None
        relation, _, bound = self.target.partition(" ")
        if self.ratio is None:
            return False
        return self.ratio >= float(bound) if relation == ">=" else self.ratio <= float(bound)

    def as_json(self) -> dict[str, object]:
        """Return the row as one object of the report."""
        row = asdict(self)
        del row["paired"]
        return row | {"ratio": self.ratio, "holds": self.holds}


def median(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def paired(name: str, ours: Sequence[float], theirs: Sequence[float], *, peer: str, target: str = "") -> Row:
    """Return a row of seconds whose ratio is the median of those of each round: loads that come and go hit both."""
    return Row(name=name, ours=median(ours), unit="s", peer=peer, peer_value=median(theirs), target=target,
               paired=ratio_of_rounds(ours, theirs))  # fmt: skip


def ratio_of_rounds(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return median(mine / peers for mine, peers in zip(ours, theirs, strict=True))


def rate(work: Callable[[], None], count: int) -> float:
    """Return how often a second something is done that `work` does `count` times."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def alternate(runs: int, *measure: Callable[[], float]) -> list[float]:
    """Return the median of each measurement, taken in turns."""
    taken = rounds_of(dict(enumerate(measure)), runs)
    return [median(values) for values in taken.values()]


def rounds_of(sides: Mapping[T, Callable[[], float]], rounds: int) -> dict[T, list[float]]:
    """Measure all sides in turn, `rounds` times, each round beginning with another one."""
    names = list(sides)
    found: dict[T, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for offset in range(len(names)):
            name = names[(turn + offset) % len(names)]
            found[name].append(sides[name]())
    return found


def main(name: str, measure: Callable[[bool], Sequence[Row]]) -> None:
    """Measure and show; the exit status is 1 if a target is missed.

    Args:
        name: Of the benchmark.
        measure: Told whether to be quick: at most 50 s.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    rows = measure(options.quick)
    if options.json:
        report = {"benchmark": name, "machine": _machine(), "rows": [row.as_json() for row in rows]}
        print(json.dumps(report, indent=2))
    else:
        print(", ".join(f"{key} {value}" for key, value in _machine().items()))
        for row in rows:
            print(_line(row))
    sys.exit(1 if any(row.holds is False for row in rows) else 0)


def _line(row: Row) -> str:
    ours = "-" if row.ours is None else f"{row.ours:,.4g}"
    text = f"{row.name:<44} {ours:>12} {row.unit:<8}"
    if row.peer:
        peer = "not here" if row.peer_value is None else f"{row.peer_value:,.4g}"
        ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
        text += f" {row.peer:<34} {peer:>10}  ratio {ratio:>6}"
    if row.target:
        text += f" (target {row.target}) {'holds' if row.holds else 'DOES NOT HOLD'}"
    return text


def _machine() -> dict[str, object]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
