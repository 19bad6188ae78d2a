"""Which system calls the child process gives up: those that make processes, reach others, or leave something behind.

A child is ended by its process group, and its parent's life is its own. What took it over could leave the group by a
`fork` and a `setsid`, and live on; so there is no `fork`. A filter of the kernel's (seccomp) needs no right, holds for
all threads and for good, and is as old as Linux 3.17; what it refuses fails with EPERM, as for somebody without a
right, which libraries go along with.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["knows_filters", "restrict_system_calls"]


class _Machine(NamedTuple):
    """An architecture: its name for the kernel (linux/audit.h), and in which column its numbers stand."""

    audit: int
    column: int


_MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}
_X32 = 0x40000000  # the first number of a second set of calls, of x86-64 alone (asm/unistd.h)

# Numbers on x86-64 and on arm64, from asm/unistd.h; None where the call does not exist.
_SECCOMP = (317, 277)
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKET = (41, 198)
_PRLIMIT = (302, 261)
_SIGNALLING = {"kill": (62, 129), "tgkill": (234, 131)}  # to itself they are what `abort` is made of
_REFUSED = {
    # Processes that outlive it, or programs in its place.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    # Other processes of the same user, its parent first.
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    # Work that no filter sees.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Memory and messages that stay when the process is gone.
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Parts of the kernel that no decoder needs, and through which others were taken over.
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}

# linux/bpf_common.h and linux/filter.h: load a word, jump if equal, if not less, if any bit is set, return.
_LOAD, _EQUAL, _NOT_LESS, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # where they stand in `struct seccomp_data`; of a word, its lower half
_INSTRUCTION = struct.Struct("HBBI")

# linux/seccomp.h
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_ALL_THREADS = 1 << 0
_FAST = 1 << 2  # since 4.17: without it, kernels before 5.16 slow down whoever has a filter, for fear of Spectre
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
_UNKNOWN = 0x00050000 | errno.ENOSYS
_CLONE_THREAD = 0x00010000  # linux/sched.h


def knows_filters() -> bool:
    """Return whether the kernel filters system calls, and this module knows their numbers on this machine."""
    machine = _machine()
    if machine is None:
        return False
    action = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
    return _seccomp(machine, _GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0


def restrict_system_calls(*, card: bool = False) -> bool:
    """Give up all other processes and all sockets, for good; return whether the kernel could be asked to.

    The process must have given up new privileges before (`restrict_resources`).

    Args:
        card: Whether an NVIDIA card may be used, whose driver talks to its services through sockets of this machine.
    """
    machine = _machine()
    if machine is None:
        return False
    code = b"".join(_INSTRUCTION.pack(*each) for each in _program(machine, process=os.getpid(), card=card))
    instructions = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _INSTRUCTION.size, ctypes.addressof(instructions))
    return any(
        _seccomp(machine, _SET_MODE_FILTER, flags, ctypes.byref(program)) == 0
        for flags in (_ALL_THREADS | _FAST, _ALL_THREADS)
    )


def _program(machine: _Machine, *, process: int, card: bool) -> Iterator[tuple[int, int, int, int]]:
    """Give the filter's instructions: what they do, how many to leave out if so and if not, and a number."""

    def number(call: tuple[int, int | None]) -> int | None:
        return call[machine.column]

    def refuse(call: tuple[int, int | None], answer: int = _REFUSE) -> Iterator[tuple[int, int, int, int]]:
        if (wanted := number(call)) is not None:
            yield _EQUAL, 0, 1, wanted
            yield _RETURN, 0, 0, answer

    def allow_if(call: tuple[int, int], condition: int, value: int) -> Iterator[tuple[int, int, int, int]]:
        """Look at the first argument."""
        yield _EQUAL, 0, 4, call[machine.column]
        yield _LOAD, 0, 0, _FIRST
        yield condition, 0, 1, value
        yield _RETURN, 0, 0, _ALLOW
        yield _RETURN, 0, 0, _REFUSE

    yield _LOAD, 0, 0, _ARCHITECTURE
    yield _EQUAL, 1, 0, machine.audit
    yield _RETURN, 0, 0, _KILL  # 32-bit calls, which have other numbers
    yield _LOAD, 0, 0, _NUMBER
    yield _NOT_LESS, 0, 1, _X32
    yield _RETURN, 0, 0, _REFUSE
    for call in _REFUSED.values():
        yield from refuse(call)
    # Its flags lie in memory, where no filter looks: the C library falls back to `clone`.
    yield from refuse(_CLONE3, _UNKNOWN)
    yield from allow_if(_CLONE, _ANY_BIT, _CLONE_THREAD)
    for call in _SIGNALLING.values():
        yield from allow_if(call, _EQUAL, process)
    yield from allow_if(_PRLIMIT, _EQUAL, 0)  # of itself
    yield from allow_if(_SOCKET, _EQUAL, 1) if card else refuse(_SOCKET)  # AF_UNIX
    yield _RETURN, 0, 0, _ALLOW


def _machine() -> _Machine | None:
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    return _MACHINES.get(os.uname().machine)


def _seccomp(machine: _Machine, operation: int, flags: int, argument: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(_SECCOMP[machine.column], operation, flags, argument))


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))
