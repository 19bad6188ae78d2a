"""`mamkit secrets make`, `mamkit secrets rotate`: the secrets of an installation, and new keys for what is sealed."""

import os
import secrets as random
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamkit_apps.cli._installation import DATA_DIR, installed

if TYPE_CHECKING:
    from mamkit.auth import Vault
    from mamkit.signing import KeyRing
    from mamkit_apps.settings import ServiceSettings

__all__ = ["KEYS", "RINGS", "commands"]

RINGS = ("edge_signing_key", "jwt_secret", "sealing_keys")
"""Secrets of which there may be several at a time."""

KEYS = ("session_secret", "callback_secret")
"""Secrets of which there is one."""


@click.group("secrets")
def secrets() -> None:
    """The secrets of the installation."""


@secrets.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
def make(*, folder: Path | None) -> None:
    """Make the secrets that services share: a file each in FOLDER, or else lines of an environment file.

    A file that is there stays as it is. Name the files with EDGE_SIGNING_KEY_FILE and the like.
    """
    from mamkit_apps.secrets import load_or_create

    for name in RINGS + KEYS:
        if folder is None:
            click.echo(f"{name.upper()}={_new(name)}")
            continue
        path = folder / name
        made = not path.exists()
        load_or_create(path, lambda name=name: _new(name))  # type: ignore[misc] # bound at once
        click.echo(f"{path} {'is made' if made else 'was there'}")


def _new(name: str) -> str:
    from mamkit.signing import KeyRing

    return KeyRing.generate().dump() if name in RINGS else random.token_urlsafe(48)


@secrets.command()
@click.option("--retire", is_flag=True, help="Drop the older keys afterwards; first restart all services.")
@DATA_DIR
def rotate(*, retire: bool, data_dir: Path | None) -> None:
    """Seal everything in the database with the newest key.

    In an embedded installation a new key is made first, unless --retire is given. Where SEALING_KEYS is set, put a new
    key in front of it yourself, give it to all services, and run this.
    """
    import asyncio

    from mamkit.auth import Vault
    from mamkit_apps.api.settings import ApiSettings

    settings = ApiSettings.load(data_dir=installed(data_dir).data_dir)
    ring = settings.ring("sealing_keys")
    embedded = settings.sealing_keys is None
    if embedded and not retire:
        ring = ring.rotated()
        _write(settings, ring)
    count, lost = asyncio.run(_reseal(settings, Vault(ring)))
    click.echo(f"{count} values are sealed anew with key {ring.current[0]}")
    if lost:
        click.echo(f"{lost} values stay as they are: the key that they were sealed with is gone")
    if embedded and retire:
        for kid in list(ring)[1:]:
            ring = ring.retired(kid)
        _write(settings, ring)
        click.echo("older keys are gone")
    elif embedded:
        click.echo("restart the services; then `mamkit secrets rotate --retire` drops the older keys")
    else:
        click.echo("once all services have SEALING_KEYS with this key in front, drop the older ones from it")


def _write(settings: "ServiceSettings", ring: "KeyRing") -> None:
    """Replace the key ring's file in one step: a crash leaves the old one or the new one."""
    path = settings.data_dir / "secrets" / "sealing_keys"
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(ring.dump() + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


async def _reseal(settings: "ServiceSettings", vault: "Vault") -> tuple[int, int]:
    import asyncio

    from mamkit.catalog import Catalog
    from mamkit_apps.sealed import reseal
    from mamkit_apps.wiring import migrate

    await asyncio.to_thread(migrate, settings)
    async with Catalog(settings.database) as catalog:
        return await reseal(catalog, vault)


commands = [secrets]
