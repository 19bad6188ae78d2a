"""`mamkit previews …`: building previews anew."""

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from mamkit_apps.cli._installation import DATA_DIR, installed

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]


@click.group()
def previews() -> None:
    """Previews of an installation."""


@previews.command()
@click.argument("versions", metavar="VERSION…", type=click.UUID, nargs=-1, required=True)
@DATA_DIR
def rebuild(*, versions: tuple[UUID, ...], data_dir: Path | None) -> None:
    """Build the previews of versions anew, with the workers' settings of now; the old ones play until then."""
    import asyncio

    asyncio.run(_rebuild(installed(data_dir), versions))


async def _rebuild(settings: "ServiceSettings", versions: tuple[UUID, ...]) -> None:
    from mamkit_apps.publishing import open_publisher

    async with open_publisher(settings) as publisher:
        for version_id in versions:
            await publisher.rebuild(version_id)
            click.echo(f"{version_id} is being built")


commands = [previews]
