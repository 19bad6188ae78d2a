"""`mamkit …`: every command ends with status 0, or with one line on standard error and another status."""

import os
import signal
import sys
from types import FrameType

import mamkit
from mamkit.errors import MamkitError, MissingExtraError

try:
    import click
except ImportError as error:
    raise MissingExtraError("apps", package="click") from error

from mamkit_apps.cli import (
    backup,
    demo,
    doctor,
    gc,
    jobs,
    media,
    operate,
    previews,
    remote,
    secrets,
    services,
    signing,
    storage,
)

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mamkit.__version__, prog_name="mamkit")
def cli() -> None:
    """Your own video platform."""


COMMANDS = (
    demo.demo,
    *services.commands,
    *media.commands,
    *operate.commands,
    *doctor.commands,
    *backup.commands,
    *remote.commands,
    *secrets.commands,
    *signing.commands,
    *storage.commands,
    jobs.jobs,
    previews.previews,
    gc.gc,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line, and turn every expected failure into one clear line."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        status = error.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("mamkit: interrupted", err=True)
        status = 128 + signal.SIGINT
    except MamkitError as error:
        click.echo(f"mamkit: {error}", err=True)
        status = 1
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        click.echo(f"mamkit: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _interrupt(_: int, __: FrameType | None) -> None:
    """Let SIGTERM end a command as Ctrl-C does: everything is stopped and cleaned on the way out."""
    raise KeyboardInterrupt
