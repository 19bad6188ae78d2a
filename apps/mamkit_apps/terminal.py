"""What the commands show: progress bars on standard error, tables on standard output."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["bytes_text", "duration_text", "one_line", "progress_bar"]

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


def duration_text(seconds: float) -> str:
    """Return a time as a person reads it, to two units at most: `40 s`, `3 min`, `1 h 20 min`, `2 d 5 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
