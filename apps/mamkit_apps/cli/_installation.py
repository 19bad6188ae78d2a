"""Which installation a command works on."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["DATA_DIR", "command", "installed", "load_settings"]

DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Installation; default .mamkit."
)


def command(line: str) -> str:
    """Return how a command is typed where this one was: in a checkout `mamkit` alone is not found."""
    return f"{'uv run ' if 'UV_RUN_RECURSION_DEPTH' in os.environ else ''}mamkit {line}"


def load_settings(data_dir: Path | None) -> "ServiceSettings":
    """Return the settings of an installation; of the environment's or the default one, if no folder is given."""
    from mamkit_apps.settings import ServiceSettings

    return ServiceSettings.load() if data_dir is None else ServiceSettings.load(data_dir=data_dir)


def installed(data_dir: Path | None) -> "ServiceSettings":
    """Return the settings of an installation that is there; a command in the wrong folder is to make no new one.

    Raises:
        click.ClickException: The database would be the embedded one, and there is none.
    """
    settings = load_settings(data_dir)
    if settings.database_url is None and not (settings.data_dir / "mamkit.db").exists():
        start = command(f"up --data-dir {shlex.quote(str(settings.data_dir))}")
        raise click.ClickException(
            f"there is no installation in {settings.data_dir.absolute()}; name its folder with --data-dir, set"
            f" DATABASE_URL, or make one: {start}"
        )
    return settings
