"""What the child process takes from itself before it looks at a stranger's file.

Memory, processor time and written bytes are bounded by the kernel on every system. On Linux the child dies with its
parent and cannot gain privileges, and where the kernel has Landlock (since 5.13) it can read nothing but the file, its
own code and the system's libraries, write nothing, use no TCP (since 6.7) and signal nobody (since 6.12). What else it
can do to nobody is in `_system_calls`.
"""

import ctypes
import math
import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["allow_time", "landlock_version", "restrict_files", "restrict_resources"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS = 38

_OPEN_FILES = 64
_CPU_GRACE = 5  # seconds from SIGXCPU, which names the cause, to SIGKILL

# linux/landlock.h; the system calls have these numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEV = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 15
_ACCESS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many file rights a version of the interface knows
_NET_SINCE, _NET_BIND_AND_CONNECT = 4, 0b11
_SCOPE_SINCE, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 6, 0b11

# What libraries look up while they work: other libraries, and how many processors of which kind there are.
_SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/dev/null",
    "/dev/urandom",
)

_CARD = ("dev/nvidia*", "proc/driver/nvidia", "proc/self")  # the driver looks up its own process's memory


def landlock_version() -> int:
    """Return the version of the kernel's Landlock interface; 0 or less where there is none."""
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def restrict_resources(*, memory: int, seconds: int, parent: int, more: bool = False) -> None:
    """Bound this process for good, and tie its life to its parent's.

    Args:
        memory: Bytes of private memory; the kernel of macOS does not enforce it.
        seconds: Processor time, of all threads together.
        parent: Process id of the parent; if that has gone already, this process ends.
        more: Whether `allow_time` may be called later, for another piece of work.
    """
    _lower(resource.RLIMIT_DATA, memory)
    if more:
        allow_time(seconds)
    else:
        _lower(resource.RLIMIT_CPU, seconds, grace=_CPU_GRACE)
    _lower(resource.RLIMIT_FSIZE, 0)  # segments go through a pipe: no file is written
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getppid() != parent:  # it died before the first of the two calls
            os.kill(os.getpid(), signal.SIGKILL)


def allow_time(seconds: int) -> None:
    """Bound the processor time of this process from now on, as far as it goes along with that.

    What took the process over can lift this bound; its parent's clock stays.

    Args:
        seconds: Of all threads together.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def restrict_files(source: str, code: Iterable[str], *, card: bool = False) -> bool:
    """Give up all files but one, and all TCP, for good; return whether the kernel could be asked to.

    Args:
        source: The file that may still be read.
        code: Folders that this process's modules and libraries lie in.
        card: Whether an NVIDIA card may be used: its device files are then open, too.
    """
    version = landlock_version()
    if version < 1:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    files = (1 << _ACCESS_BY_VERSION[min(version, max(_ACCESS_BY_VERSION))]) - 1
    handled = [files]  # an older kernel knows fewer fields of `struct landlock_ruleset_attr`
    if version >= _NET_SINCE:
        handled.append(_NET_BIND_AND_CONNECT)
    if version >= _SCOPE_SINCE:
        handled.append(_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = (ctypes.c_uint64 * len(handled))(*handled)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        _allow(libc, ruleset, source, _READ_FILE)
        for folder in (*_SYSTEM, *code):
            _allow(libc, ruleset, folder, _READ_FILE | _READ_DIR | _EXECUTE)
        for device in _CARD if card else ():
            for path in Path("/").glob(device):
                access = _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEV
                _allow(libc, ruleset, str(path), access & files)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    """Let a file, or all below a folder, be used; what is not there needs no permission."""
    if not Path(path).exists():
        return
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathRule(access if Path(path).is_dir() else access & ~_READ_DIR, descriptor)
        libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


class _PathRule(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _lower(limit: int, value: int, *, grace: int = 0) -> None:
    """Lower a limit, and leave it where it is lower already; the hard one may be higher by a grace."""
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or hard > value + grace:
        hard = value + grace
    resource.setrlimit(limit, (min(value, hard), hard))
