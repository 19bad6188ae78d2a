"""What a child process can no longer do to others, or leave behind, once it has given up its system calls."""

import ctypes.util
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from mamkit.transcode.containment import _process, _sandbox, _system_calls
from tests.unit.transcode.liveness import is_alive

PREAMBLE = f"""
import ctypes, errno, importlib.util, os, resource, signal, socket, subprocess, sys, threading, time
def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
sandbox = load("sandbox", {_sandbox.__file__!r})
calls = load("calls", {_system_calls.__file__!r})
def restrict(**options):
    sandbox.restrict_resources(memory=1 << 30, seconds=100, parent=os.getppid())
    assert calls.restrict_system_calls(**options)
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno()) if libc.syscall(*arguments) < 0 else "done"
"""

pytestmark = pytest.mark.skipif(
    not _system_calls.knows_filters(), reason="the kernel filters no system calls, or is not Linux on x86-64 or arm64"
)


def command(script: str) -> list[str]:
    return [sys.executable, "-I", "-B", "-c", PREAMBLE + textwrap.dedent(script)]


def run(script: str) -> list[str]:
    done = subprocess.run(command(script), capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


LEAVES = """
    def leave():
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(60)
            os._exit(0)
    try:
        leave()
    except PermissionError:
        os.write(1, b"refused\\n")
    time.sleep(60)
"""


def test_what_took_a_child_over_cannot_leave_its_process_group() -> None:
    """It would live on: without the filter it does, which shows that this is an attack."""
    for preparation, lives in (("", True), ("restrict()\n", False)):
        child = _process.start_process(command(preparation + textwrap.dedent(LEAVES)))
        assert child.stdout is not None
        said = child.stdout.readline().decode().strip()
        _process.end_process(child)
        if lives:
            assert is_alive(int(said))
            os.kill(int(said), signal.SIGKILL)
        else:
            assert said == "refused"


def test_no_process_can_be_made_and_no_program_be_run_in_any_way() -> None:
    script = """
        restrict()
        column = calls._machine().column
        for name in ("fork", "vfork", "execve", "execveat", "setsid", "setpgid"):
            number = calls._REFUSED[name][column]
            print(call(number, 0, 0, 0, 0, 0) if number is not None else "EPERM")
        print(call(calls._CLONE[column], signal.SIGCHLD, 0, 0, 0, 0))
        print(call(calls._CLONE[column], 0x4000 | 0x100, 0, 0, 0, 0))  # as `vfork` is made
        print(call(calls._CLONE3[column], None, 0))
        try:
            subprocess.run(["/bin/true"])
        except PermissionError:
            print("EPERM")
    """
    assert run(script) == [*["EPERM"] * 8, "ENOSYS", "EPERM"]


def test_threads_can_be_started_and_the_process_ends_itself() -> None:
    script = """
        restrict()
        done = []
        threads = [threading.Thread(target=done.append, args=(each,)) for each in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
        print(sorted(done) == list(range(8)), flush=True)
        os.abort()
    """
    done = subprocess.run(command(script), capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("True\n", -signal.SIGABRT)


def test_the_filter_holds_for_threads_that_run_already() -> None:
    script = """
        go, told = threading.Event(), []
        def attack():
            go.wait()
            try: os.fork()
            except PermissionError: told.append("refused")
        thread = threading.Thread(target=attack)
        thread.start()
        restrict()
        go.set()
        thread.join()
        print(*told)
    """
    assert run(script) == ["refused"]


def test_neither_the_parent_nor_the_network_is_reached() -> None:
    """Signals, its memory, its limits; sockets of every kind, also those that Landlock knows nothing of."""
    script = """
        restrict()
        parent = os.getppid()
        for attack in (
            lambda: os.kill(parent, signal.SIGTERM),
            lambda: os.kill(-1, 0),
            lambda: os.killpg(os.getpgid(parent), 0),
            lambda: resource.prlimit(parent, resource.RLIMIT_CORE, (0, 0)),
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM),
            lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        ):
            try:
                attack()
                print("done")
            except PermissionError:
                print("refused")
        os.kill(os.getpid(), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        print("itself")
    """
    assert run(script) == [*["refused"] * 8, "itself"]


def test_a_driver_of_a_card_has_sockets_of_this_machine_alone() -> None:
    script = """
        restrict(card=True)
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
        try: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        except PermissionError: print("refused")
    """
    assert run(script) == ["refused"]


def test_every_refused_call_is_refused() -> None:
    script = """
        restrict()
        column = calls._machine().column
        for name, numbers in calls._REFUSED.items():
            if numbers[column] is not None and call(numbers[column], 0, 0, 0, 0, 0, 0) != "EPERM":
                print(name)
        print("all")
    """
    assert run(script) == ["all"]


def test_a_second_set_of_numbers_is_no_way_around() -> None:
    """x32, of which x86-64 has one; elsewhere no such numbers exist."""
    assert run("restrict()\nprint(call(0x40000000 + 57))") == ["EPERM"]


def test_without_a_filter_the_child_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_system_calls, "_MACHINES", {})
    assert not _system_calls.knows_filters()
    assert not _system_calls.restrict_system_calls()


@pytest.mark.parametrize("name", list(_system_calls._MACHINES))
def test_the_filter_is_right_on_each_architecture(name: str) -> None:
    """As the kernel would run it, also for the architecture that this machine is not of."""
    machine = _system_calls._MACHINES[name]
    other = next(each for each in _system_calls._MACHINES.values() if each != machine)
    program = list(_system_calls._program(machine, process=77, card=False))

    def answer(call: tuple[int, int | None], first: int = 0, architecture: int = machine.audit) -> int:
        words = {0: call[machine.column], 4: architecture, 16: first}
        at = value = 0
        while True:
            code, if_so, if_not, number = program[at]
            at += 1
            match code:
                case 0x20:
                    value = words[number] or 0
                case 0x06:
                    return number
                case _:
                    holds = {0x15: value == number, 0x35: value >= number, 0x45: value & number != 0}[code]
                    at += if_so if holds else if_not

    refused, allowed, unknown, killed = 0x50001, 0x7FFF0000, 0x50026, 0x80000000
    write, pthread, vfork = (1, 64), 0x3D0F00, 0x4111
    assert answer(write) == allowed
    assert answer(write, architecture=other.audit) == killed
    assert {answer(call) for call in _system_calls._REFUSED.values() if call[machine.column] is not None} == {refused}
    assert answer(_system_calls._CLONE, pthread) == allowed
    assert answer(_system_calls._CLONE, vfork) == answer(_system_calls._CLONE, 17) == refused
    assert answer(_system_calls._CLONE3) == unknown
    for call in _system_calls._SIGNALLING.values():
        assert (answer(call, 77), answer(call, 78), answer(call, 0)) == (allowed, refused, refused)
    assert (answer(_system_calls._PRLIMIT, 0), answer(_system_calls._PRLIMIT, 78)) == (allowed, refused)
    assert answer(_system_calls._SOCKET, 1) == answer(_system_calls._SOCKET, 2) == refused


def test_the_numbers_are_the_kernels() -> None:
    """As libseccomp knows them, where it is installed."""
    found = ctypes.util.find_library("seccomp")
    if found is None:
        pytest.skip("libseccomp, which knows the numbers of all architectures, is not installed")
    resolve = ctypes.CDLL(found).seccomp_syscall_resolve_name_arch
    named = {"clone": _system_calls._CLONE, "clone3": _system_calls._CLONE3, "socket": _system_calls._SOCKET}
    named |= {"prlimit64": _system_calls._PRLIMIT, "seccomp": _system_calls._SECCOMP}
    for name, numbers in {**_system_calls._REFUSED, **_system_calls._SIGNALLING, **named}.items():
        for machine in _system_calls._MACHINES.values():
            number = resolve(ctypes.c_uint32(machine.audit), name.encode())
            assert number == numbers[machine.column] or (number < 0 and numbers[machine.column] is None), name
