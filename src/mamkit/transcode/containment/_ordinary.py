"""A process that cannot give itself real-time priority.

SVT-AV1 does so wherever it may, which is for root: all its threads, and the one that opens it, are SCHED_FIFO 99 from
then on, and whatever else the machine has to do waits for them.
"""

import ctypes
import struct
import sys

__all__ = ["stay_ordinary"]

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, capabilities(7)
_SYS_NICE = 1 << 23  # CAP_SYS_NICE
_DATA = struct.Struct("6I")  # effective, permitted, inheritable; twice, the lower 32 bits first


def stay_ordinary() -> None:
    """Give up the right to raise the priority of this thread and of all that it starts; without it, do nothing.

    For the start of a process, before other threads have that right.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    header = struct.pack("Ii", _VERSION, 0)
    data = ctypes.create_string_buffer(_DATA.size)
    if libc.capget(header, data) != 0:
        return
    effective, permitted, *rest = _DATA.unpack(data.raw)
    libc.capset(header, _DATA.pack(effective & ~_SYS_NICE, permitted & ~_SYS_NICE, *rest))
