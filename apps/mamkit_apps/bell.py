"""A bell between the processes of one machine: whoever puts a job into the queue of a database wakes idle workers.

Each worker has a named pipe in a folder of the installation; everybody who adds a job writes a byte into all of them.
It only saves time: a ring that is lost, or that nobody could send, is made up for by the worker's next look.
"""

import errno
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["answering", "ring"]

FOLDER = "bells"
BLOCK = 4096  # rings that are heard as one
TICK = 0.5  # seconds between two looks whether the worker ends


def ring(data_dir: Path) -> None:
    """Wake the workers of an installation that wait on this machine; never waits for any of them, and never fails.

    Args:
        data_dir: Of the installation.
    """
    own = f"{socket.gethostname()}."
    with suppress(OSError):
        for bell in (data_dir / FOLDER).iterdir():
            if not bell.name.startswith(own):
                continue  # of another machine, on a disk that both see
            try:
                pipe = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nobody listens: its worker was killed
                    with suppress(OSError):
                        bell.unlink()
                continue
            with suppress(OSError):  # it is full, and the worker was told often enough
                os.write(pipe, b"\n")
            os.close(pipe)


@contextmanager
def answering(data_dir: Path, hear: Callable[[], None]) -> Iterator[None]:
    """Call a function for every ring, in a thread of its own, while the block runs; where there can be a bell.

    Args:
        data_dir: Of the installation.
        hear: Is to return at once.
    """
    path = data_dir / FOLDER / f"{socket.gethostname()}.{os.getpid()}"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)  # of an earlier process with this number
        os.mkfifo(path, mode=0o600)
        # For writing, too, so that the pipe does not end whenever somebody has written.
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except (OSError, AttributeError):  # a disk, or a system, without named pipes
        yield
        return
    over = threading.Event()

    def listen() -> None:
        while not over.is_set():
            if select.select([pipe], [], [], TICK)[0]:
                with suppress(BlockingIOError):
                    os.read(pipe, BLOCK)
                hear()

    thread = threading.Thread(target=listen, name="bell")
    thread.start()
    try:
        yield
    finally:
        over.set()
        path.unlink(missing_ok=True)
        with suppress(OSError):
            os.write(pipe, b"\n")
        thread.join()
        os.close(pipe)
