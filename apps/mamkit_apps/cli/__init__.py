"""`mamkit …`: every command ends with status 0, or with one line on standard error and another status."""

import os
import signal
import sys
from importlib import import_module
from types import FrameType

from mamkit.errors import MamkitError, MissingExtraError

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
    "remote": ("upload", "import", "ls", "open"),
    "secrets": ("secrets",),
    "signing": ("sign", "verify"),
    "storage": ("storage",),
    "jobs": ("jobs",),
    "previews": ("previews",),
    "gc": ("gc",),
}


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
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        asked = isinstance(error.__context__, EOFError) and not sys.stdin.isatty()  # or Ctrl-C, which is Abort, too
        click.echo(f"mamkit: {'there is no terminal to ask at; see --help' if asked else 'interrupted'}", err=True)
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
