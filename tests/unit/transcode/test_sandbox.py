"""What a child process can no longer do once it has restricted itself."""

import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mamkit.transcode.containment import _sandbox
from tests.unit.transcode.liveness import is_alive, wait_until_dead

# The module is loaded by its file: a bare interpreter starts in a fraction of the time that all of mamkit takes.
PREAMBLE = f"""
import importlib.util, os, resource, socket, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("sandbox", {_sandbox.__file__!r})
sandbox = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sandbox)
restrict_files, restrict_resources = sandbox.restrict_files, sandbox.restrict_resources
def restrict(**changes): restrict_resources(**({{"memory": 1 << 30, "seconds": 100, "parent": os.getppid()}} | changes))
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-B", "-c", PREAMBLE + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_memory_is_bounded() -> None:
    done = run("restrict(memory=256 << 20)\ntry: bytes(1 << 30)\nexcept MemoryError: print('refused')")
    assert done.stdout == "refused\n"


def test_memory_that_is_allowed_can_be_used() -> None:
    done = run("restrict(memory=256 << 20); print(len(bytes(100 << 20)))")
    assert done.stdout == f"{100 << 20}\n"


def test_processor_time_is_bounded_over_all_threads() -> None:
    done = run("restrict(seconds=1)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU


def test_no_file_can_be_written(tmp_path: Path) -> None:
    done = run("restrict(); Path(sys.argv[1]).write_text('x')", tmp_path / "written")
    assert "File too large" in done.stderr
    assert (tmp_path / "written").stat().st_size == 0


def test_no_core_is_dumped_and_few_files_can_be_open() -> None:
    done = run(
        "restrict(); print(resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert done.stdout == "(0, 0) (64, 64)\n"


def test_limits_that_are_lower_already_stay() -> None:
    script = (
        "restrict(memory=100 << 20); restrict(memory=900 << 20); print(resource.getrlimit(resource.RLIMIT_DATA)[1])"
    )
    assert run(script).stdout == f"{100 << 20}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_the_child_dies_with_its_parent() -> None:
    child = PREAMBLE + "restrict(parent=int(sys.argv[1])); print(os.getpid(), flush=True); sys.stdin.read()"
    script = f"""
        import subprocess, time
        command = [sys.executable, "-I", "-c", {child!r}, str(os.getpid())]
        child = subprocess.Popen(command, stdin=subprocess.PIPE)
        time.sleep(60)
    """
    command = [sys.executable, "-I", "-c", PREAMBLE + textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until_dead(pid)


def test_a_child_whose_parent_has_died_before_ends_itself() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent has died")
    assert run("restrict(parent=1 << 22); print('lives')").returncode == -signal.SIGKILL


def test_no_other_file_and_no_host_can_be_reached(tmp_path: Path) -> None:
    """The source can be read, and so can what Python needs; a neighbour of the source cannot, nor a port be used."""
    source, secret = tmp_path / "source.mp4", tmp_path / "secret"
    source.write_text("source")
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        script = """
            if not restrict_files(sys.argv[1], [*sys.path, sys.prefix, sys.base_prefix]):
                sys.exit(77)
            import json.tool  # code can still be loaded
            print(Path(sys.argv[1]).read_text())
            for attempt in (
                lambda: Path(sys.argv[2]).read_text(),
                lambda: Path(sys.argv[2]).unlink(),
                lambda: Path(sys.argv[1]).write_text("x"),
                lambda: Path(sys.argv[1]).with_name("new").write_text("x"),
                lambda: Path("/etc/passwd").read_text(),
                lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
                lambda: os.listdir(Path(sys.argv[1]).parent),
                lambda: os.kill(os.getppid(), 0),
                lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3]))),
            ):
                try:
                    attempt()
                    print("done")
                except PermissionError:
                    print("refused")
        """
        done = run(script, source, secret, server.getsockname()[1])
        if done.returncode == 77:
            pytest.skip("the kernel has no Landlock")
        lines = done.stdout.splitlines()
        assert lines[:8] == ["source", *["refused"] * 7], done.stderr
        if set(lines[8:]) != {"refused"}:
            pytest.skip("the kernel's Landlock knows no signals (before 6.12) or no TCP (before 6.7)")
        with pytest.raises(TimeoutError):
            server.accept()
    assert secret.read_text() == "secret"
