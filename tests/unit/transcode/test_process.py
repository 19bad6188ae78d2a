"""Child processes that do their worst, and what becomes of them."""

import os
import sys
import textwrap
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mamkit.transcode import (
    ChildCrashedError,
    ChildProtocolError,
    ChildTimedOutError,
    ContainmentError,
    Limits,
    TranscodeInterruptedError,
)
from mamkit.transcode.containment import _process as process
from mamkit.transcode.containment._process import Cancellation, Child, start_process
from tests.unit.transcode.liveness import is_alive, wait_until_dead

# Spelled out, not imported: a bare interpreter starts in a fraction of the time.
PREAMBLE = """
import json, os, signal, subprocess, sys, threading, time
out = os.fdopen(os.dup(1), "wb")
def say(kind, body=None, data=b""):
    out.write(json.dumps({"kind": kind, "body": body, "bytes": len(data)}).encode() + b"\\n" + data)
    out.flush()
"""


def child(
    script: str,
    *,
    request: bytes = b"",
    stall: float = 10,
    time_in_all: float = 10,
    cancelled: Cancellation | None = None,
) -> Child:
    limits = Limits(
        stall=timedelta(seconds=stall), time=timedelta(seconds=time_in_all), segment_bytes=1 << 20, memory=1 << 30
    )
    command = [sys.executable, "-I", "-c", PREAMBLE + textwrap.dedent(script)]
    return Child(start_process(command), request, limits=limits, cancelled=cancelled)


def test_a_request_is_read_and_answered() -> None:
    request = os.urandom(1 << 20)  # more than a pipe holds
    script = """
        data = sys.stdin.buffer.read(1 << 20)
        say("length", len(data))
        say("data", None, data)
    """
    with child(script, request=request) as running:
        messages = running.messages()
        assert next(messages).body == len(request)
        assert next(messages).data == request


def test_what_a_child_asks_for_is_answered_in_order() -> None:
    script = """
        for size in (3, 1 << 20, 1):
            say("read", size)
            say("got", None, sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8))))
    """
    answers = [b"abc", os.urandom(1 << 20), b"x"]
    with child(script) as running:
        messages = running.messages()
        for answer in answers:
            assert next(messages).body == len(answer)
            running.reply(answer)
            assert next(messages).data == answer


def test_a_child_that_reads_no_request_is_heard_all_the_same() -> None:
    with child("os.close(0); say('hello')", request=bytes(1 << 20)) as running:
        assert next(running.messages()).kind == "hello"


def test_a_child_has_no_environment_and_no_files(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        script = (
            "say('facts', [sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), len(os.listdir('/dev/fd'))])"
        )
        with child(script) as running:
            names, folder, leads, descriptors = next(running.messages()).body
    # Python and macOS set the first two.
    assert set(names) <= {"LC_CTYPE", "__CF_USER_TEXT_ENCODING", "SVT_LOG", "PYDANTIC_DISABLE_PLUGINS"}
    assert folder == "/"
    assert leads
    assert descriptors <= 3 + 2  # its pipes; `out`; the folder that is being listed


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_is_an_error_that_names_the_signal(name: str) -> None:
    script = f"print('first\\nlast words', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.{name})"
    with child(script) as running, pytest.raises(ChildCrashedError, match=name) as caught:
        list(running.messages())
    assert caught.value.signal == name
    assert caught.value.exit_status is None
    assert caught.value.stderr == "first\nlast words"


def test_an_exit_without_an_answer_is_an_error() -> None:
    with child("say('one'); sys.exit(7)") as running:
        messages = running.messages()
        assert next(messages).kind == "one"
        with pytest.raises(ChildCrashedError, match="exit status 7") as caught:
            next(messages)
    assert (caught.value.exit_status, caught.value.signal) == (7, None)


def test_a_traceback_is_kept_as_evidence() -> None:
    with child("raise RuntimeError('a fault of ours')") as running, pytest.raises(ChildCrashedError) as caught:
        list(running.messages())
    assert caught.value.stderr.endswith("RuntimeError: a fault of ours")


def test_a_child_that_hangs_is_killed() -> None:
    with child("time.sleep(60)", stall=0.3) as running, pytest.raises(ChildTimedOutError, match=r"0\.3 s") as caught:
        list(running.messages())
    assert caught.value.seconds == 0.3
    assert not is_alive(running._process.pid)


def test_a_child_that_talks_for_ever_is_killed() -> None:
    script = "while True: say('progress'); time.sleep(0.02)"
    with child(script, time_in_all=0.5) as running, pytest.raises(ChildTimedOutError, match="not done after"):
        list(running.messages())


def test_the_time_of_the_listener_is_not_the_childs() -> None:
    with child("say('a'); time.sleep(0.1); say('b')", stall=5, time_in_all=0.6) as running:
        messages = running.messages()
        assert next(messages).kind == "a"
        for _ in range(4):
            time.sleep(0.2)
        assert next(messages).kind == "b"


def test_a_child_that_catches_signals_is_killed() -> None:
    script = """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
        say('pid', os.getpid())
        time.sleep(60)
    """
    with child(script) as running:
        pid = next(running.messages()).body
    wait_until_dead(pid)


def test_what_a_child_has_started_ends_with_it() -> None:
    script = """
        other = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])
        say('pid', other.pid)
        time.sleep(60)
    """
    with child(script) as running:
        pid = next(running.messages()).body
        assert is_alive(pid)
    wait_until_dead(pid)


def test_what_an_ended_child_has_left_behind_ends_too() -> None:
    script = """
        other = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"], stdout=2)
        say('pid', other.pid)
    """
    with child(script) as running:
        messages = running.messages()
        pid = next(messages).body
        with pytest.raises(ChildCrashedError):
            next(messages)
    wait_until_dead(pid)


def test_a_child_that_closes_its_output_and_stays_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.2)
    script = "out.close(); os.close(1); time.sleep(60)"
    with child(script) as running, pytest.raises(ChildCrashedError, match="fell silent"):
        list(running.messages())
    assert not is_alive(running._process.pid)


@pytest.mark.parametrize(
    "script",
    [
        "out.write(b'x' * (5 << 20))",
        "out.write(b'hello\\n')",
        'out.write(b\'{"kind": "a", "body": 1, "bytes": 99999999999}\\n\')',
        "while True: out.write(b'[' * 100_000)",
    ],
)
def test_a_child_that_says_something_else_is_not_listened_to(script: str) -> None:
    endless = script if script.startswith("while") else f"{script}; out.flush(); time.sleep(60)"
    with child(endless) as running, pytest.raises(ChildProtocolError):
        list(running.messages())


def test_a_flood_of_complaints_is_cut_to_the_last_of_them() -> None:
    script = """
        for n in range(100_000): print(f"[h264 @ 0x55d0c0ffee{n % 10}] error {n}", file=sys.stderr)
        sys.exit(1)
    """
    with child(script) as running, pytest.raises(ChildCrashedError) as caught:
        list(running.messages())
    assert caught.value.stderr.splitlines() == [f"[h264] error {n}" for n in range(99_995, 100_000)]


def test_work_that_is_no_longer_wanted_stops_at_once() -> None:
    event = threading.Event()
    timer = threading.Timer(0.1, event.set)
    timer.start()
    began = time.monotonic()
    with child("time.sleep(60)", cancelled=event) as running, pytest.raises(TranscodeInterruptedError):
        list(running.messages())
    assert time.monotonic() - began < 30  # and not the sixty of the child
    timer.join()


def test_an_exception_of_the_listener_ends_the_child() -> None:
    class ListenerError(Exception):
        pass

    def listen(running: Child) -> None:
        with running:
            next(running.messages())
            raise ListenerError

    running = child("say('a'); time.sleep(60)")
    with pytest.raises(ListenerError):
        listen(running)
    assert not is_alive(running._process.pid)


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ContainmentError, match="could be started"):
        start_process(["/no/such/program"])
