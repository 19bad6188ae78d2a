"""`mamkit upload`, `import`, `ls`, `open`: an installation, from wherever it can be reached."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from mamkit_apps.terminal import one_line, transfer_bar

if TYPE_CHECKING:
    from mamkit.client import Client, Import, Version

__all__ = ["commands"]

STATES = Path(".mamkit") / "uploads"  # under the home folder; where uploads that were broken off can be taken up


def _connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--api-url", envvar="API_URL", default="http://127.0.0.1:3000", show_default=True, help="Base URL of the API."
    )(command)
    return click.option(
        "--token-file", envvar="MAMKIT_TOKEN_FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File with an API key; without it, MAMKIT_TOKEN holds one. Other users of a machine see arguments.",
    )(command)  # fmt: skip


@contextmanager
def _connected(api_url: str, token_file: Path | None) -> "Iterator[Client]":
    from mamkit.client import Client

    token = os.environ.get("MAMKIT_TOKEN", "") if token_file is None else token_file.read_text("utf-8").strip()
    if not token:
        raise click.UsageError("set MAMKIT_TOKEN to an API key, or give --token-file")
    with Client(api_url, token=token) as client:
        yield client


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--title", default="", help="Of the asset; its file's name if it is not given.")
@click.option("--asset", type=click.UUID, help="Asset of which the file is a new version.")
@click.option("--skip-known", is_flag=True, help="Send no file whose bytes are there already, and name where.")
@click.option("--wait", is_flag=True, help="Wait until the previews are ready.")
@_connection_options
def upload(
    *,
    files: tuple[Path, ...],
    title: str,
    asset: UUID | None,
    skip_known: bool,
    wait: bool,
    api_url: str,
    token_file: Path | None,
) -> None:
    """Upload FILES. One that was broken off is taken up where it stopped. Prints one line each: asset and version."""
    if len(files) > 1 and (title or asset):
        raise click.UsageError("--title and --asset are for one file")
    with _connected(api_url, token_file) as client:
        for path in files:
            version = _known(client, path) if skip_known else None
            version = version or _upload(client, path, title=title, asset=asset)
            click.echo(f"{version.asset_id} {version.id} {path}")
            if wait:
                preview = client.wait(version.id)
                if preview.status == "failed":
                    raise click.ClickException(f"{path}: its preview failed: {preview.failure}")


def _known(client: "Client", path: Path) -> "Version | None":
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return next(iter(client.duplicates(digest)), None)


def _upload(client: "Client", path: Path, *, title: str, asset: UUID | None) -> "Version":
    name = hashlib.sha256(f"{client!r}\0{path.resolve()}\0{asset}".encode()).hexdigest()[:32]
    state = Path.home() / STATES / f"{name}.json"
    with transfer_bar(path.name) as progress:
        return client.upload(path, title=title, asset_id=asset, state=state, progress=progress)


@click.command("import")
@click.argument("urls", nargs=-1, required=True, metavar="URL…")
@click.option("--title", default="", help="Of the asset; its file's name if it is not given.")
@click.option("--asset", type=click.UUID, help="Asset of which the file is a new version.")
@click.option("--workspace", type=click.UUID, help="Where a new asset belongs; the personal one if not given.")
@click.option("--skip-known", is_flag=True, help="Make no version of bytes that are there already, and name where.")
@click.option("--detach", is_flag=True, help="Do not wait; print the ids of the imports.")
@_connection_options
def import_urls(
    *,
    urls: tuple[str, ...],
    title: str,
    asset: UUID | None,
    workspace: UUID | None,
    skip_known: bool,
    detach: bool,
    api_url: str,
    token_file: Path | None,
) -> None:
    """Let the installation fetch URLs by itself. Prints one line each: asset and version. Ctrl-C leaves them under way.

    A URL may be a secret by itself, and other users of a machine see arguments: `-` reads URLs from standard input.
    """
    if urls == ("-",):
        urls = tuple(line.strip() for line in sys.stdin if line.strip())
    if len(urls) > 1 and (title or asset):
        raise click.UsageError("--title and --asset are for one URL")
    failures = 0
    with _connected(api_url, token_file) as client:
        begun = [
            client.import_url(url, title=title, asset_id=asset, workspace_id=workspace, skip_known=skip_known)
            for url in urls
        ]
        for number, each in enumerate(begun, 1):
            if detach:
                click.echo(str(each.id))
                continue
            found = _wait_for_import(client, each.id)
            if found.state == "done":
                click.echo(f"{found.asset_id} {found.version_id}")
            else:
                failures += 1
                click.echo(f"mamkit: URL {number}: {one_line(found.failure or 'it was cancelled')}", err=True)
    if failures:
        raise click.ClickException(f"{failures} of {len(urls)} were not imported")


def _wait_for_import(client: "Client", import_id: UUID) -> "Import":
    with transfer_bar("import") as progress:
        return client.wait_for_import(import_id, progress=progress)


@click.command("ls")
@click.argument("asset", required=False, type=click.UUID)
@click.option("--mine", is_flag=True, help="Only those of the key's owner.")
@_connection_options
def list_assets(*, asset: UUID | None, mine: bool, api_url: str, token_file: Path | None) -> None:
    """List assets, newest first; or the versions of one ASSET."""
    with _connected(api_url, token_file) as client:
        if asset is None:
            for each in client.assets(mine=mine):
                click.echo(f"{each.id} {each.created_at:%Y-%m-%d %H:%M} {one_line(each.title)}")
            return
        for version in client.versions(asset):
            click.echo(f"{version.id} v{version.number} {version.size} {version.sha256}")


@click.command("open")
@click.argument("asset", type=click.UUID)
@click.option("--seconds", type=click.IntRange(1), help="How long the URL is good; the longest if not given.")
@click.option("--print", "show", is_flag=True, help="Print the URL, and open nothing.")
@_connection_options
def open_asset(*, asset: UUID, seconds: int | None, show: bool, api_url: str, token_file: Path | None) -> None:
    """Play the newest version of an ASSET. It opens in whatever this machine plays HLS with."""
    with _connected(api_url, token_file) as client:
        versions = client.versions(asset)
        if not versions:
            raise click.ClickException("nothing of it is uploaded yet")
        url = client.playback_url(versions[0].id, lifetime_seconds=seconds).url
    if show or click.launch(url) != 0:
        click.echo(url)


commands = [upload, import_urls, list_assets, open_asset]
