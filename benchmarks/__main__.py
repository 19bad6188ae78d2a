"""All benchmarks, one after the other, and docs/performance.md from what they say.

`python -m benchmarks [--quick] [NAME …]`: those of the names alone, where some are given; the others' tables stay.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mamkit.clock import utc_now

__all__: list[str] = []

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "performance.md"
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def run(name: str, *, quick: bool) -> dict[str, Any]:
    """Return the report of a benchmark.

    Raises:
        SystemExit: It did not end as a benchmark does.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in {0, 1}:  # 1: a target is missed, which its row says
        raise SystemExit(f"benchmarks.{name} ended with {done.returncode}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def section(report: dict[str, Any], *, quick: bool) -> str:
    """Return what the page says of a benchmark: what it measures, where, and its rows."""
    name, machine = report["benchmark"], report["machine"]
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    what = text.removeprefix('"""').partition('"""')[0].strip().partition("\n\n")[0]
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    lines = [
        f"## {name}",
        "",
        what,
        "",
        f"{utc_now():%Y-%m-%d}; {facts}{'; a quick run, which says little' if quick else ''}.",
        "",
        "| | ours | beside | | ratio | target | |",
        "|---|---:|---|---:|---:|---|---|",
        *(_line(row) for row in report["rows"]),
    ]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    ours, peer = (_figure(row[key]) for key in ("ours", "peer_value"))
    holds = {True: "holds", False: "**does not hold**", None: ""}[row["holds"]]
    missing = " (not on this machine)" if row["peer"] and row["peer_value"] is None else ""
    name = row["name"].replace("|", "\\|")
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
    return f"| {name} | {ours} {row['unit']} | {row['peer']}{missing} | {peer} | {ratio} | {row['target']} | {holds} |"


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def join(page: str, sections: dict[str, str]) -> str:
    """Return the page with these sections in the places of their older ones, all in alphabetical order."""
    head, *parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    found = {part.partition("\n")[0].removeprefix("## "): part.rstrip() + "\n" for part in parts} | sections
    return head.rstrip() + "\n\n" + "\n".join(found[name] for name in sorted(found))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *NAMES], help="which; all without one")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, some 50 s each")
    options = parser.parse_args()
    for name in options.names or NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        report = run(name, quick=options.quick)
        # After each, so that a later one that breaks off costs nothing.
        page = join(PAGE.read_text("utf-8"), {name: section(report, quick=options.quick)})
        PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
