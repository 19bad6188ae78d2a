"""`mamkit backup`, `mamkit restore`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from mamkit_apps.cli._installation import DATA_DIR, installed, load_settings
from mamkit_apps.terminal import bytes_text

if TYPE_CHECKING:
    from mamkit_apps.backup.making import Include
    from mamkit_apps.backup.sealing import Keys

__all__ = ["commands"]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--passphrase-file", type=FILE, help="Its first line is the passphrase (argon2id).")(command)
    return click.option("--key-file", type=FILE, help="32 random bytes or more; any file of them.")(command)


def _keys(passphrase_file: Path | None, key_file: Path | None) -> "Keys":
    from mamkit_apps.backup.sealing import Keys

    if passphrase_file is not None and key_file is not None:
        raise click.UsageError("give --passphrase-file or --key-file, not both")
    text = None if passphrase_file is None else passphrase_file.read_text("utf-8").partition("\n")[0]
    return Keys(passphrase=text, key_file=key_file)


def _say(what: str) -> None:
    click.echo(f"… {what}", err=True)


@click.command()
@click.argument("where")
@click.option(
    "--objects", "include", type=click.Choice(["none", "masters", "all"]), default="none", show_default=True,
    help="Whose bytes go into it; the list of all objects always does.",
)  # fmt: skip
@click.option("--verify", "look_again", is_flag=True, help="Read everything again when it is written.")
@_key_options
@DATA_DIR
def backup(
    *,
    where: str,
    include: str,
    look_again: bool,
    passphrase_file: Path | None,
    key_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Write a backup. WHERE is an empty folder or s3://BUCKET/PREFIX; the services may run.

    It holds the database, the settings without secrets, the list of all objects with their checksums and, if asked for,
    the objects. Keep the secrets elsewhere; a backup has none.
    """
    from mamkit_apps.backup import making, restoring
    from mamkit_apps.backup.archive import ArchiveReader
    from mamkit_apps.backup.places import open_place

    settings = installed(data_dir)
    place, keys = open_place(where, settings), _keys(passphrase_file, key_file)
    encrypt = passphrase_file is not None or key_file is not None
    made = making.backup(
        settings, place, include=cast("Include", include), keys=keys if encrypt else None, progress=_say
    )
    if look_again:
        restoring.verify(ArchiveReader(place, keys), _say)
    click.echo(
        f"{place}: {made.rows} rows, {made.objects} objects listed, {made.copied} of them copied "
        f"({bytes_text(made.copied_bytes)}){', encrypted' if encrypt else ''}{', verified' if look_again else ''}"
    )


@click.command()
@click.argument("where")
@click.option("--verify", "only_look", is_flag=True, help="Read everything, and restore nothing.")
@click.option(
    "--settings", "show_settings", is_flag=True, help="Print the settings that it holds, and restore nothing."
)
@click.option("--replace", is_flag=True, help="Give up the rows and objects that are there.")
@_key_options
@DATA_DIR
def restore(
    *,
    where: str,
    only_look: bool,
    show_settings: bool,
    replace: bool,
    passphrase_file: Path | None,
    key_file: Path | None,
    data_dir: Path | None,
) -> None:
    """Put a backup back; stop the services first.

    Everything is verified before anything is written. Ends with status 1 if a master is missing afterwards.
    """
    from mamkit_apps.backup import restoring
    from mamkit_apps.backup.archive import ArchiveReader
    from mamkit_apps.backup.places import open_place

    settings = load_settings(data_dir)
    archive = ArchiveReader(open_place(where, settings), _keys(passphrase_file, key_file))
    if show_settings:
        click.echo(restoring.settings_of(archive), nl=False)
        return
    if only_look:
        read = restoring.verify(archive, _say)
        click.echo(f"{where}: as it was written on {archive.created_at} ({bytes_text(read)} read)")
        return
    done = restoring.restore(settings, archive, replace=replace, progress=_say)
    click.echo(f"{done.rows} rows and {done.objects} objects of {archive.created_at} are back")
    if done.rebuilt:
        click.echo(f"{done.rebuilt} previews are not there and are made anew once API and workers run")
    if done.lost_key:
        click.echo(
            f"SEALING_KEYS lacks key {done.lost_key}: without it, second factors and webhooks are lost",
            err=True,
        )
    for key in done.missing_masters:
        click.echo(f"missing: {key}", err=True)
    if done.missing_masters:
        raise click.exceptions.Exit(1)


commands = [backup, restore]
