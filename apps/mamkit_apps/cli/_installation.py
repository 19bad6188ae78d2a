"""Which installation a command works on."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["DATA_DIR", "load_settings"]

DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Installation; default .mamkit."
)


def load_settings(data_dir: Path | None) -> "ServiceSettings":
    """Return the settings of an installation; of the environment's or the default one, if no folder is given."""
    from mamkit_apps.settings import ServiceSettings

    return ServiceSettings.load() if data_dir is None else ServiceSettings.load(data_dir=data_dir)
