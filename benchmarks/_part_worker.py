"""A worker for measurements: `python -m benchmarks._part_worker CPU SOURCE PLAN PART…` encodes parts and keeps nothing.

It stays on one processor, or on any where CPU is `-`; the child process that does the work stays with it.
"""

import os
import sys
from fractions import Fraction
from pathlib import Path

from mamkit.transcode import ArtFile, Init, Plan, Segment, encode_part

__all__: list[str] = []


class Nowhere:
    """A sink that forgets."""

    def init(self, init: Init, data: bytes) -> None:
        """Take an initialisation segment."""

    def segment(self, segment: Segment, data: bytes) -> None:
        """Take a segment."""

    def art(self, file: ArtFile, data: bytes) -> None:
        """Take artwork."""

    def progress(self, done: Fraction) -> None:
        """Take progress."""


if __name__ == "__main__":
    cpu, source, plan_path, *indices = sys.argv[1:]
    if cpu != "-":
        os.sched_setaffinity(0, {int(cpu)})
    plan = Plan.model_validate_json(Path(plan_path).read_bytes())
    for index in indices:
        encode_part(source, plan, plan.parts[int(index)], Nowhere())
