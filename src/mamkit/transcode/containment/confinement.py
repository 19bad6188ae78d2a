"""How far this machine's kernel confines the child process that opens strangers' files."""

from typing import Literal

from mamkit.transcode.containment._sandbox import landlock_version
from mamkit.transcode.containment._system_calls import knows_filters

__all__ = ["Confinement", "confinement"]

Confinement = Literal["network", "files", "processes", "limits"]


def confinement() -> Confinement:
    """Return what the kernel keeps the child from, beside the bounds that hold on every system.

    `network`: all other files (Landlock, since Linux 5.13), all sockets and all other processes (seccomp, since 3.17,
    on x86-64 and arm64); `files`: all other files, but not all of the rest; `processes`: all of the rest, but not other
    files; `limits`: nothing more than memory, time and output.
    """
    match landlock_version() > 0, knows_filters():
        case True, True:
            return "network"
        case True, False:
            return "files"
        case False, True:
            return "processes"
        case _:
            return "limits"
