"""Whether a process lives."""

import os
import time
from pathlib import Path

import pytest

__all__ = ["is_alive", "wait_until_dead"]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie, which a container without an init process may keep, does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it went this moment, or there is no /proc to tell zombies by
        return not Path("/proc/self").exists()


def wait_until_dead(pid: int) -> None:
    """Wait until a process has ended, for some seconds."""
    for _ in range(100):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} lives on")
