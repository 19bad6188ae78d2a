"""`mamkit …`: every command ends with status 0, or with one line on standard error and another status."""

import os
import signal
import sys
from importlib import import_module
from io import StringIO
from types import FrameType

from mamkit.errors import MamkitError, MissingExtraError
from mamkit_apps.terminal import one_line

try:
    import click
except ImportError as error:
    raise MissingExtraError("apps", package="click") from error

__all__ = ["cli", "main"]


# Where each command stands. Its module is imported when it is called for: a command of one part of the library does not
# wait for the settings of all services.
_MODULES = {
    "demo": ("demo",),
    "services": ("up", "api", "edge", "worker"),
    "media": ("probe", "transcode", "thumbnails"),
    "database": ("db",),
    "accounts": ("user",),
    "doctor": ("doctor",),
    "backup": ("backup", "restore"),
    "remote": ("upload", "wait", "import", "ls", "open"),
    "secrets": ("secrets",),
    "signing": ("sign", "verify"),
    "storage": ("storage",),
    "jobs": ("jobs",),
    "previews": ("previews",),
    "gc": ("gc",),
}


LONGEST = 600  # characters of a message; what is longer repeats an argument that is


class _Commands(click.Group):
    """The commands of all modules, of which none is imported before it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(name for names in _MODULES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        module = next((module for module, names in _MODULES.items() if cmd_name in names), None)
        if module is None:
            return None
        found: list[click.Command] = import_module(f"mamkit_apps.cli.{module}").commands
        return next(command for command in found if command.name == cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mamkit", prog_name="mamkit")  # looked up when asked for
def cli() -> None:
    """Your own video platform."""


def main() -> None:
    """Run the command line, and turn every expected failure into one clear line."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        status = error.exit_code
    except click.ClickException as error:
        error.show(said := StringIO())
        click.echo("\n".join(map(_shown, said.getvalue().splitlines())), err=True)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        asked = isinstance(error.__context__, EOFError) and not sys.stdin.isatty()  # or Ctrl-C, which is Abort, too
        click.echo(f"mamkit: {'there is no terminal to ask at; see --help' if asked else 'interrupted'}", err=True)
        status = 128 + signal.SIGINT
    except MamkitError as error:
        click.echo(f"mamkit: {_shown(str(error))}", err=True)
        status = 1
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        about = f": {error.filename}" if error.filename else ""
        click.echo(f"mamkit: {_shown(f'{error.strerror or error}{about}')}", err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _shown(message: str) -> str:
    """Return a message as one line that can be read, whatever was given to the command."""
    line = one_line(message)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 100]} … {line[-100:]}"


def _interrupt(_: int, __: FrameType | None) -> None:
    """Let SIGTERM end a command as Ctrl-C does: everything is stopped and cleaned on the way out."""
    raise KeyboardInterrupt
