"""How far this machine's kernel confines the child process that opens strangers' files."""

from typing import Literal

from mamkit.transcode.containment._sandbox import NET_SINCE, landlock_version

__all__ = ["Confinement", "confinement"]

Confinement = Literal["network", "files", "limits"]


def confinement() -> Confinement:
    """Return what the kernel keeps the child from, beside the bounds that hold on every system.

    `network`: all other files, and TCP (Landlock since Linux 6.7); `files`: all other files (since 5.13); `limits`:
    nothing more than memory, time and output.
    """
    version = landlock_version()
    return "network" if version >= NET_SINCE else "files" if version > 0 else "limits"
