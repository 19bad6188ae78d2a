"""Which installation a command works on."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["DATA_DIR", "command", "installed", "installed_signer", "load_settings"]

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


def installed(data_dir: Path | None, *, named: str = "--data-dir") -> "ServiceSettings":
    """Return the settings of an installation that is there; a command in the wrong folder is to make no new one.

    Args:
        data_dir: Its folder; None is the environment's or the default one.
        named: What names the folder to this command.

    Raises:
        click.ClickException: The database would be the embedded one, and there is none.
    """
    settings = load_settings(data_dir)
    if settings.database_url is None and not (settings.data_dir / "mamkit.db").exists():
        raise _nothing_in(settings.data_dir, "there is no installation", f"with {named}, set DATABASE_URL")
    return settings


def installed_signer(data_dir: Path | None) -> "ServiceSettings":
    """Return the settings of an installation whose URLs can be signed; a new key would be one that no edge knows.

    Raises:
        click.ClickException: The key would be the embedded one, and there is none.
    """
    settings = load_settings(data_dir)
    embedded = settings.edge_signing_key is None and settings.database_url is None
    if embedded and not (settings.data_dir / "secrets" / "edge_signing_key").exists():
        what = "there is no installation whose key signs URLs"
        raise _nothing_in(settings.data_dir, what, "with --data-dir, set EDGE_SIGNING_KEY")
    return settings


def _nothing_in(data_dir: Path, what: str, remedy: str) -> click.ClickException:
    start = command(f"up --data-dir {shlex.quote(str(data_dir))}")
    return click.ClickException(f"{what} in {data_dir.absolute()}; name its folder {remedy}, or make one: {start}")
