"""The bell between API and workers: whoever waits is woken, and nobody is ever held up by it."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from mamkit.catalog import sync_engine
from mamkit.testing.jobs import claimed, new_job
from mamkit_apps.bell import FOLDER, answering, ring
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import migrate, open_queue


def test_a_ring_is_heard_by_all_who_wait(tmp_path: Path) -> None:
    heard = threading.Event()
    with answering(tmp_path, heard.set):
        ring(tmp_path)
        assert heard.wait(20)
    assert list((tmp_path / FOLDER).iterdir()) == [], "whoever ends takes the bell along"


def test_a_new_job_and_one_that_waits_again_ring(tmp_path: Path) -> None:
    settings = ServiceSettings.load(data_dir=tmp_path)
    migrate(settings)
    queue = open_queue(settings, sync_engine(settings.database))
    heard = threading.Semaphore(0)
    with answering(tmp_path, heard.release):
        queue.enqueue(new_job())
        assert heard.acquire(timeout=20)
        lease = claimed(queue)
        queue.bury(lease, reason="bad")
        queue.requeue(lease.job.id)
        assert heard.acquire(timeout=20)


def test_where_nobody_ever_waited_nothing_happens(tmp_path: Path) -> None:
    ring(tmp_path)
    ring(tmp_path / "nowhere")


def test_the_bell_of_a_worker_that_was_killed_is_taken_away(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from mamkit_apps.bell import answering
with answering(Path({str(tmp_path)!r}), print):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    ring(tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_worker_that_hears_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """It was frozen, and its pipe is full."""
    (tmp_path / FOLDER).mkdir()
    name = f"{os.uname().nodename}.1"
    os.mkfifo(tmp_path / FOLDER / name)
    pipe = os.open(tmp_path / FOLDER / name, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.write(pipe, bytes(4096)):
            pass
    ring(tmp_path)
    os.close(pipe)


def test_without_named_pipes_there_is_no_bell(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    with answering(tmp_path, lambda: None):
        ring(tmp_path)
