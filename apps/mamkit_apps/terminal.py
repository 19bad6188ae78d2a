"""What the commands show: progress bars on standard error, tables on standard output."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from rich.console import Console

__all__ = ["bytes_text", "one_line", "progress_bar", "transfer_bar"]

_JOINERS = "\u200c\u200d"  # which Persian, Hindi and families of emoji are written with; they move no cursor


def one_line(text: str) -> str:
    """Return what somebody wrote as one line that only shows: no line of their own, no command to the terminal.

    A terminal takes control characters as commands (ECMA-48, section 5), such as to write over what stands above or to
    type into the shell, and marks of direction turn `gpj.exe` around (Unicode Standard Annex 9, section 2). A space
    stands for each of them.
    """
    return "".join(character if character.isprintable() or character in _JOINERS else " " for character in text)


@contextmanager
def progress_bar(title: str, *, hidden: bool = False) -> "Iterator[Callable[[float | Fraction], None]]":
    """Show a bar with percentage and time left while the block runs, if standard error is a terminal.

    Args:
        title: Stands before the bar.
        hidden: Show nothing.

    Yields:
        A function that takes how much is done, 0 to 1.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    # Not above: it takes a tenth of a second to import, and a script has no terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<12}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=1.0)
        yield lambda done: progress.update(task, completed=float(done))


@contextmanager
def transfer_bar(title: str, *, console: "Console | None" = None) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with bytes and speed while the block runs, if standard error is a terminal.

    Args:
        title: Stands before the bar, as it is written, such as the name of a file.
        console: Where it is shown instead, a terminal or not.

    Yields:
        A function that takes how many bytes are done, and of how many.
    """
    if console is None and not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as progress:
        task = progress.add_task(one_line(title), total=None)
        yield lambda done, size: progress.update(task, completed=done, total=size)


def bytes_text(count: int | None) -> str:
    """Return a number of bytes as a person reads it, in powers of 1024 (IEC 80000-13)."""
    if count is None:
        return ""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
