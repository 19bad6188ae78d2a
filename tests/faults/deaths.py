"""The loop of all tests that kill a process before each of its steps."""

import shutil
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from signal import SIGKILL

import pytest

__all__ = ["Work", "deaths"]

Work = Callable[[int, Callable[[int], object]], None]
"""Takes the step before which the process kills itself, and what is told how many steps there were if it did not."""


def deaths(
    template: Path, scratch: Path, begin: Callable[[Path], Work], *, most: int, least: int = 10, every: int = 1
) -> Iterator[Path]:
    """Yield what a process left behind that was killed before its first step, its second, and so on up to its last one.

    Args:
        template: Folder in which each process begins, in a copy.
        scratch: For the copies; each is removed after it was looked at.
        begin: Prepares a copy, and returns the work that is done in it; to be sent to another process.
        most: Steps that there can be.
        least: Steps that there are at least.
        every: How manieth step is tried.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.importing"])  # once for all of them, and it imports what all need
    for fatal in range(1, most, every):
        folder = scratch / str(fatal)
        shutil.copytree(template, folder)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=begin(folder), args=(fatal, sender.send))
        process.start()
        sender.close()
        process.join()
        if process.exitcode == 0:
            assert least < receiver.recv() < fatal, "every step was tried"
            return
        assert process.exitcode == -SIGKILL
        yield folder
        shutil.rmtree(folder)
    pytest.fail("there are more steps than were tried")
