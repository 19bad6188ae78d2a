"""`mamkit upload`, `wait`, `import`, `ls`, `open`: an installation, from wherever it can be reached."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from mamkit.errors import MamkitError
from mamkit_apps.cli._installation import command
from mamkit_apps.cli._line import Line
from mamkit_apps.terminal import bytes_text, one_line

if TYPE_CHECKING:
    from mamkit.client import Client, Import, Preview, Version

__all__ = ["commands"]

STATES = Path(".mamkit") / "uploads"  # under the home folder; where uploads that were broken off can be taken up


AT = {
    "queued": "its preview waits for a worker,",
    "building": "its preview is being built,",
    "playable": "it can be played, and the rest is being built,",
    "ready": "its preview is ready,",
    "failed": "its preview failed,",
}
"""What a preview that is waited for is at."""


def _connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option(
        "--api-url", envvar="API_URL", default="http://127.0.0.1:3000", show_default=True, help="Base URL of the API."
    )(function)
    return click.option(
        "--token-file", envvar="MAMKIT_TOKEN_FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="File with an API key; without it, MAMKIT_TOKEN holds one. Other users of a machine see arguments.",
    )(function)  # fmt: skip


@contextmanager
def _connected(api_url: str, token_file: Path | None) -> "Iterator[Client]":
    import httpx

    from mamkit.client import Client

    try:
        parts = httpx.URL(api_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise click.BadParameter(f"{api_url!r} is no http(s) URL", param_hint="--api-url")
    token = os.environ.get("MAMKIT_TOKEN", "") if token_file is None else token_file.read_text("utf-8").strip()
    if not token:
        raise click.UsageError("set MAMKIT_TOKEN to an API key, or give --token-file")
    if not (token.isascii() and token.isprintable()):  # which no header can carry
        raise click.UsageError("MAMKIT_TOKEN, or the file that --token-file names, holds no API key")
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
        made: list[tuple[str, UUID]] = []
        for path in files:
            with Line(path.name) as line:
                version = _known(client, path, line) if skip_known else None
                version = version or _upload(client, path, line, title=title, asset=asset)
            click.echo(f"{version.asset_id} {version.id} {path}")
            made.append((str(path), version.id))
        if wait:  # for each once all of them are under way
            _wait(client, made)


def _known(client: "Client", path: Path, line: Line) -> "Version | None":
    line.tell(f"reading {bytes_text(path.stat().st_size)},")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return next(iter(client.duplicates(digest)), None)


def _upload(client: "Client", path: Path, line: Line, *, title: str, asset: UUID | None) -> "Version":
    """Upload a file; whatever breaks it off, say how it is taken up again."""
    there, whole = 0, path.stat().st_size
    state = _state_of(client, path, asset)

    def told(sent: int, size: int) -> None:
        nonlocal there
        there = sent
        if not sent:
            line.tell("asking where to send it,")
        elif sent < size:
            line.tell("sending", sent, size)
        else:
            line.tell("it is sent, and is being verified and stored,")

    line.tell(f"reading {bytes_text(whole)},")
    try:
        return client.upload(path, title=title, asset_id=asset, state=state, progress=told)
    except (KeyboardInterrupt, MamkitError):
        if state is not None and state.exists():
            line.end()
            sent = f"{bytes_text(there)} of {bytes_text(whole)} were sent"
            click.echo(f"{path}: {sent}; the same command goes on from there within a week", err=True)
        raise


def _state_of(client: "Client", path: Path, asset: UUID | None) -> Path | None:
    """Return the file that an upload is taken up again with; None, said aloud, where the home folder takes none."""
    name = hashlib.sha256(f"{client!r}\0{path.resolve()}\0{asset}".encode()).hexdigest()[:32]
    try:
        folder = Path.home() / STATES
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        click.echo(f"{path}: cannot be taken up again if it is broken off: {error}", err=True)
        return None
    return folder / f"{name}.json"


@click.command()
@click.argument("versions", metavar="VERSION…", type=click.UUID, nargs=-1, required=True)
@_connection_options
def wait(*, versions: tuple[UUID, ...], api_url: str, token_file: Path | None) -> None:
    """Wait until previews are ready. Shows how far those of the VERSIONs are; status 1 if one of them failed."""
    with _connected(api_url, token_file) as client:
        _wait(client, [(str(version), version) for version in versions])


def _wait(client: "Client", previews: Sequence[tuple[str, UUID]]) -> None:
    """Wait for previews; whatever breaks that off, say that they are built all the same.

    Args:
        client: Of the API.
        previews: What each is called, and the version that it is of.
    """
    failed = 0
    for number, (name, version) in enumerate(previews):
        with Line(Path(name).name) as line:

            def told(preview: "Preview", line: Line = line) -> None:
                line.tell(AT.get(preview.status, preview.status), preview.progress)

            try:
                preview = client.wait(version, progress=told)
            except (KeyboardInterrupt, MamkitError) as error:
                line.end()
                if getattr(error, "status", None) in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                    raise  # it is none that this key may wait for
                left = " ".join(str(each) for _, each in previews[number:])
                click.echo(
                    f"what is not ready is built all the same; to go on waiting: {command(f'wait {left}')}", err=True
                )
                raise
        if preview.status == "failed":
            failed += 1
            click.echo(f"mamkit: {one_line(name)}: its preview failed: {one_line(preview.failure or '')}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


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
            found = _wait_for_import(client, each.id, f"URL {number}")
            if found.state == "done":
                click.echo(f"{found.asset_id} {found.version_id}")
            else:
                failures += 1
                click.echo(f"mamkit: URL {number}: {one_line(found.failure or 'it was cancelled')}", err=True)
    if failures:
        raise click.ClickException(f"{failures} of {len(urls)} were not imported")


def _wait_for_import(client: "Client", import_id: UUID, title: str) -> "Import":
    with Line(title) as line:
        line.tell("being fetched,")
        return client.wait_for_import(
            import_id, progress=lambda received, size: line.tell("being fetched,", received, size)
        )


@click.command("ls")
@click.argument("asset", required=False, type=click.UUID)
@click.option("--mine", is_flag=True, help="Only those of the key's owner.")
@_connection_options
def list_assets(*, asset: UUID | None, mine: bool, api_url: str, token_file: Path | None) -> None:
    """List assets, newest first, or the versions of one.

    Of an ASSET a line for each version: id, number, bytes, SHA-256, and the state of its preview.
    """
    with _connected(api_url, token_file) as client:
        if asset is None:
            for each in client.assets(mine=mine):
                click.echo(f"{each.id} {each.created_at:%Y-%m-%d %H:%M} {one_line(each.title)}")
            return
        for version in client.versions(asset):
            preview = client.preview(version.id)
            far = "" if preview.status in {"ready", "failed"} else f" {preview.progress:.0%}"
            click.echo(f"{version.id} v{version.number} {version.size} {version.sha256} {preview.status}{far}")


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


commands = [upload, wait, import_urls, list_assets, open_asset]
