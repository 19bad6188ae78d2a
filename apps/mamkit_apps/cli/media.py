"""`mamkit probe`, `mamkit transcode`, `mamkit thumbnails`: one part of the library each, without services."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from mamkit.transcode import Codec

__all__ = ["commands"]


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def probe(*, source: Path) -> None:
    """Print the facts of a media file as JSON."""
    from mamkit import transcode as media

    click.echo(media.probe(source).model_dump_json(indent=2, exclude_none=True))


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@click.option("--artwork/--no-artwork", default=True, help="Make poster, storyboard and waveform, too.")
@click.option(
    "--copy/--no-copy", default=True, help="Use the source's own packets for the largest size, where they fit."
)
@click.option("--codec", "codecs", default="h264", show_default=True, help="h264, hevc and av1, separated by commas.")
@click.option(
    "--encoder",
    type=click.Choice(["auto", "cpu", "nvenc"]),
    default="cpu",
    show_default=True,
    help="What encodes pictures; a card is used only where it works.",
)
@click.option(
    "--segments",
    type=click.Choice(["fmp4", "ts"]),
    default="fmp4",
    show_default=True,
    help="Fragmented MP4 (CMAF), or MPEG transport streams for old players.",
)
@click.option("--uhd", is_flag=True, help="Offer 1440p and 2160p, too.")
@click.option("--hdr", is_flag=True, help="Keep HDR10 and HLG in HEVC, too, beside what every screen shows.")
@click.option(
    "--resume/--no-resume",
    default=True,
    help="Go on with what the same command left in DEST when it was stopped.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a report as one JSON object.")
def transcode(
    *,
    source: Path,
    dest: Path,
    artwork: bool,
    copy: bool,
    codecs: str,
    encoder: Literal["auto", "cpu", "nvenc"],
    segments: Literal["fmp4", "ts"],
    uhd: bool,
    hdr: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Make a tree for HLS and DASH of a media file in a folder."""
    from mamkit import transcode as media
    from mamkit_apps.terminal import one_line, progress_bar

    if segments == "ts" and (hdr or codecs != "h264"):
        raise click.BadParameter("transport streams hold H.264 alone", param_hint="--segments")
    with progress_bar("transcoding", hidden=as_json) as advance:
        report = media.transcode(
            source,
            dest,
            ladder=media.UHD_LADDER if uhd else media.DEFAULT_LADDER,
            artwork=artwork,
            copy=copy,
            codecs=_codecs(codecs),
            encoder=encoder,
            container=segments,
            hdr=hdr,
            resume=resume,
            on_progress=advance,
        )
    if as_json:
        click.echo(json.dumps(json.loads(report.model_dump_json())))
    else:
        click.echo(f"{dest / 'index.m3u8'}")
        for note in report.notes:
            click.echo(one_line(note), err=True)


@click.command()
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
def thumbnails(*, source: Path, dest: Path) -> None:
    """Make poster and thumbnail of a still image in a folder."""
    from mamkit import transcode as media

    for name in media.thumbnails(source, dest):
        click.echo(f"{dest / name}")


def _codecs(names: str) -> "list[Codec]":
    known: dict[str, Codec] = {"h264": "h264", "hevc": "hevc", "av1": "av1"}
    try:
        return [known[name.strip()] for name in names.split(",")]
    except KeyError as error:
        raise click.BadParameter(f"{error.args[0]!r} is none of {', '.join(known)}", param_hint="--codec") from error


commands = [probe, transcode, thumbnails]
