"""`mamkit demo`."""

import contextlib
import json
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamkit_apps.cli._installation import command
from mamkit_apps.terminal import bytes_text, progress_bar

if TYPE_CHECKING:
    from mamkit_apps.demo.run import Report
    from mamkit_apps.supervisor import Services

__all__ = ["commands"]

WATCH = 0.5  # seconds between two looks whether the services live


@click.command()
@click.argument("video", required=False, type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--keep", is_flag=True, help="Leave the services running until Ctrl-C.")
@click.option("--open", "open_url", is_flag=True, help="Open the playback URL in a browser; implies --keep.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Empty folder for the data, which is then kept.",
)
def demo(*, video: Path | None, as_json: bool, keep: bool, open_url: bool, data_dir: Path | None) -> None:
    """Show the whole life of an asset. VIDEO, or a clip made on the spot, goes through it over real HTTP."""
    from mamkit_apps.demo.run import Report

    report = Report()
    with _folder(data_dir) as home:
        try:
            with _run(video, home, report, show_bars=not as_json) as services:
                _print(report, as_json=as_json)
                if keep or open_url:
                    _stay(services, report, open_url=open_url)
                elif not as_json:
                    click.echo(f"The services stop now; `{command('demo')} --keep` leaves them running to play it.")
        except BaseException as error:
            if as_json and report.error is None and not report.complete:
                report.error = str(error) or "interrupted"
                _print(report, as_json=True)
            raise


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """Give a fresh folder that goes away afterwards, or the chosen one, which must be empty and stays."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="mamkit-demo-") as folder:
            yield Path(folder)
        return
    chosen.mkdir(parents=True, exist_ok=True)
    if any(chosen.iterdir()):
        raise click.ClickException(f"{chosen} is not empty; the demo works on fresh data only")
    yield chosen


@contextlib.contextmanager
def _run(video: Path | None, home: Path, report: "Report", *, show_bars: bool) -> Iterator["Services"]:
    """Run the demo, and give its services while they still run."""
    from mamkit_apps.demo.clip import make_clip
    from mamkit_apps.demo.run import run_demo
    from mamkit_apps.supervisor import Services

    if video is None:
        video = home / "clip.mp4"
        make_clip(video)
    elif video.stat().st_size == 0:
        raise click.ClickException(f"{video} is empty")
    with Services(
        home / "data", api_port=0, edge_port=0, logs=home / "logs", fresh=True, settings={"REGISTRATION": "open"}
    ) as services:
        work = home / "fetched"
        work.mkdir()
        show = partial(progress_bar, hidden=not show_bars)
        run_demo(video, data_dir=home / "data", api_url=services.api_url, work=work, report=report, show=show)
        yield services


def _print(report: "Report", *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json()))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("step", "time", "bytes", "", box=None, header_style="bold", pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    for step in report.steps:
        table.add_row(step.name, f"{step.seconds:.3f} s", bytes_text(step.bytes), step.note)
    console = Console(highlight=False)
    console.print(table)
    click.echo()
    for rendition in report.renditions:
        size = f"{rendition['width']}x{rendition['height']}" if rendition["kind"] == "video" else "sound"
        click.echo(
            f"  {rendition['name']:<8} {size:<10} {rendition['seconds']:.3f} s in {rendition['segments']} segments,"
            f" {bytes_text(rendition['bytes'])}"
        )
    click.echo(f"\nfrom promotion to first playable {report.first_playable_s:.2f} s, to ready {report.ready_s:.2f} s")
    click.echo(f"playback URL: {report.playback_url}")


def _stay(services: "Services", report: "Report", *, open_url: bool) -> None:
    """Keep the services running until Ctrl-C."""
    click.echo(f"API {services.api_url}, edge {services.edge_url}; Ctrl-C stops them and removes the data.", err=True)
    if open_url and report.playback_url is not None:
        webbrowser.open(report.playback_url)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            services.check()
            time.sleep(WATCH)


commands = [demo]
