"""`mamkit doctor`: what is wrong here, and what to do about it."""

import dataclasses
import json
from pathlib import Path

import click

from mamkit_apps.cli._installation import DATA_DIR

__all__ = ["commands"]

GIB = 1 << 30
COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "bright_black"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
@click.option("--strict", is_flag=True, help="End with status 1 for a warning, too.")
@click.option(
    "--min-free", type=click.FloatRange(0), default=1.0, show_default=True, help="GiB of disk that must be free."
)
@DATA_DIR
def doctor(*, as_json: bool, strict: bool, min_free: float, data_dir: Path | None) -> None:
    """Try what an installation depends on. A line each, with what to do about what fails.

    Reads the settings of the environment, as the services do. Changes nothing: what it writes, it removes. Ends with
    status 1 if a check has failed.
    """
    from mamkit_apps.doctor.examine import examine
    from mamkit_apps.doctor.findings import Patient

    findings = examine(Patient.load(data_dir, least_room=round(min_free * GIB)))
    bad = {"failed", "warning"} if strict else {"failed"}
    well = not any(finding.state in bad for finding in findings)
    if as_json:
        checks = [dataclasses.asdict(finding) for finding in findings]
        click.echo(json.dumps({"ok": well, "checks": checks}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:  # a line each, however long, for people and for grep
            state = click.style(f"{finding.state:<8}", fg=COLOURS[finding.state])
            click.echo(f"{state} {finding.check:<15} {finding.detail}" + (finding.remedy and f" → {finding.remedy}"))
    if not well:
        raise click.exceptions.Exit(1)


commands = [doctor]
