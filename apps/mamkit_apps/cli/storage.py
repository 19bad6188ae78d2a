"""`mamkit storage init`, `mamkit storage check`: the buckets of an installation."""

import dataclasses
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mamkit.storage.s3 import S3Options
    from mamkit.storage.s3.buckets import BucketPlan, Finding

__all__ = ["commands"]

LOCK_DAYS = click.option(
    "--lock-days", type=click.IntRange(0, 36_500), default=30, show_default=True, help="Retention of masters; 0: none."
)
ORIGINS = click.option(
    "--origin", "origins", multiple=True, default=("*",), help="Web site whose pages upload and play; repeatable."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON array instead of a table.")


@click.group("storage")
def storage() -> None:
    """The buckets of the three zones."""


@storage.command()
@LOCK_DAYS
@ORIGINS
@JSON
def init(*, lock_days: int, origins: tuple[str, ...], as_json: bool) -> None:
    """Make the buckets, and say what this server cannot do; safe to repeat."""
    from mamkit.storage.s3.buckets import init_bucket

    _report(_each(init_bucket, lock_days, origins), as_json=as_json)


@storage.command()
@LOCK_DAYS
@ORIGINS
@JSON
def check(*, lock_days: int, origins: tuple[str, ...], as_json: bool) -> None:
    """Hold the buckets against what they should be."""
    from mamkit.storage.s3.buckets import check_bucket

    _report(_each(check_bucket, lock_days, origins), as_json=as_json)


def _each(
    look: "Callable[[str, BucketPlan, S3Options], list[Finding]]", lock_days: int, origins: tuple[str, ...]
) -> "list[Finding]":
    from mamkit.storage.s3.buckets import plans_for_zones
    from mamkit_apps.settings import ServiceSettings, SettingsError
    from mamkit_apps.zones import s3_options

    settings = ServiceSettings.load()
    names = (settings.staging_bucket, settings.masters_bucket, settings.previews_bucket)
    if None in names:
        variables = ("STAGING_BUCKET", "MASTERS_BUCKET", "PREVIEWS_BUCKET")
        raise SettingsError(f"{', '.join(variables)}: none is set, so objects are on local disk", names=variables)
    plans = plans_for_zones(lock_days=lock_days or None, origins=origins)
    options = s3_options(settings)
    return [finding for name, plan in zip(names, plans, strict=True) for finding in look(name or "", plan, options)]


def _report(findings: "list[Finding]", *, as_json: bool) -> None:
    """Print the findings, and end with status 1 if a setting is not as it should be and could be."""
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("bucket", "setting", "state", "detail")
        for finding in findings:
            table.add_row(finding.bucket, finding.setting, finding.state, finding.detail)
        Console().print(table)
    if any(finding.state == "differs" for finding in findings):
        raise click.exceptions.Exit(1)


commands = [storage]
