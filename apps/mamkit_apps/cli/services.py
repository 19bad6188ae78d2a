"""`mamkit up`, and `mamkit api`, `edge`, `worker`: all services, or one."""

import logging
import shlex
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from mamkit_apps.cli._installation import command, installed

__all__ = ["commands"]

WATCH = 0.5  # seconds between two looks whether the services live


def _service_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--stop-with-parent", is_flag=True, hidden=True)(function)
    descriptor = click.IntRange(0, 1 << 20)
    return click.option("--fd", type=descriptor, hidden=True, help="Listening socket handed down by the parent.")(
        function
    )


def _prepare(log_format: Literal["text", "json"] = "text", *, stop_with_parent: bool) -> None:
    from mamkit_apps.logs import configure

    configure(log_format)
    for chatty in ("alembic", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if stop_with_parent:
        from mamkit_apps import serving

        serving.stop_with_parent()


@click.command()
@_service_options
def api(*, fd: int | None, stop_with_parent: bool) -> None:
    """Serve the API. Settings come from the environment."""
    from mamkit_apps.api.asgi import create_app, prepare
    from mamkit_apps.api.settings import ApiSettings
    from mamkit_apps.serving import listen, serve

    settings = ApiSettings.load()
    _prepare(settings.log_format, stop_with_parent=stop_with_parent)
    prepare(settings)
    serve(create_app(settings), listen(settings.host, settings.port) if fd is None else socket.socket(fileno=fd))


@click.command()
@_service_options
def edge(*, fd: int | None, stop_with_parent: bool) -> None:
    """Serve the edge. Settings come from the environment."""
    from mamkit_apps.edge.asgi import create_app
    from mamkit_apps.edge.protocol import EdgeProtocol
    from mamkit_apps.edge.settings import EdgeSettings
    from mamkit_apps.serving import listen, serve

    settings = EdgeSettings.load()
    _prepare(settings.log_format, stop_with_parent=stop_with_parent)
    listener = listen(settings.host, settings.port) if fd is None else socket.socket(fileno=fd)
    app = create_app(settings)
    serve(app, listener, protocol=partial(EdgeProtocol, service=app.state.edge))


@click.command()
@click.option("--stop-with-parent", is_flag=True, hidden=True)
@click.option(
    "--encoder",
    type=click.Choice(["auto", "cpu", "nvenc"]),
    help="What encodes pictures, instead of WORKER_ENCODER; a card is used only where it works.",
)
def worker(*, stop_with_parent: bool, encoder: Literal["auto", "cpu", "nvenc"] | None) -> None:
    """Build previews. Settings come from the environment; run as many as you like."""
    from mamkit_apps.worker.main import run
    from mamkit_apps.worker.settings import WorkerSettings

    settings = WorkerSettings.load(**({"worker_encoder": encoder} if encoder else {}))
    if settings.redis_url is None:
        # In the wrong folder it would wait for jobs that nobody puts there.
        installed(settings.data_dir, named="DATA_DIR")
    _prepare(settings.log_format, stop_with_parent=stop_with_parent)
    listener = None
    if settings.metrics_port is not None:
        from mamkit_apps.serving import listen

        listener = listen(settings.metrics_host, settings.metrics_port)
    run(settings, listener=listener)


@click.command()
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=".mamkit", show_default=True,
    help="Database, objects and secrets.",
)  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--api-port", type=click.IntRange(0, 65535), default=3000, show_default=True)
@click.option("--edge-port", type=click.IntRange(0, 65535), default=8080, show_default=True)
def up(*, data_dir: Path, host: str, api_port: int, edge_port: int) -> None:
    """Run API, edge and a worker on this machine until Ctrl-C."""
    import asyncio

    from mamkit_apps.api.settings import ApiSettings
    from mamkit_apps.edge.settings import EdgeSettings
    from mamkit_apps.supervisor import Services
    from mamkit_apps.worker.settings import WorkerSettings

    settings = ApiSettings.load(data_dir=data_dir)  # all of them here, or each service would say what is wrong
    for others in (EdgeSettings, WorkerSettings):
        others.load(data_dir=data_dir)
    settings.make_secrets()
    fresh = not (data_dir / "mamkit.db").exists()
    with Services(data_dir, host=host, api_port=api_port, edge_port=edge_port) as running:
        click.echo(f"API   {running.api_url}   (its paths: {running.api_url}/schema)")
        click.echo(f"edge  {running.edge_url}")
        click.echo(f"data  {data_dir.absolute()}" + ("   (made now, with new secrets)" if fresh else ""))
        if fresh or asyncio.run(_no_users(data_dir)):
            click.echo("There is no user yet. Make the first one, in another terminal in this folder:")
            click.echo(f"  {command(f'user add --data-dir {shlex.quote(str(data_dir))} --role admin you@example.com')}")
        click.echo("Ctrl-C stops everything.")
        try:
            while True:
                running.check()
                time.sleep(WATCH)
        except KeyboardInterrupt:
            click.echo("\nstopping …", err=True)


async def _no_users(data_dir: Path) -> bool:
    from mamkit import catalog as db
    from mamkit_apps.settings import ServiceSettings

    catalog = db.Catalog(ServiceSettings.load(data_dir=data_dir).database)
    try:
        async with catalog.read() as session:
            return await db.count_users(session) == 0
    finally:
        await catalog.close()


commands = [up, api, edge, worker]
