"""Stores from asyncio: nothing blocks the loop, and a cancelled task leaves nothing half done."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mamkit.storage import (
    AsyncStore,
    ByteRange,
    Expected,
    LocalStore,
    MemoryStore,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedOperationError,
    UploadRejectedError,
    to_async,
)
from mamkit.storage._body import FileBody
from mamkit.storage.aio import Threads

T = TypeVar("T")


class Gate:
    """Something in a thread that goes on when it is let."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.passed = 0

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(10), "nobody opened the gate"
        self.passed += 1


class GatedStore(MemoryStore):
    """A store whose `get`, and whose commits, wait at a gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(clock=self._tell)
        self.gate = gate
        self.bodies: list[FileBody] = []

    def _tell(self) -> datetime:
        self.gate.wait()
        return datetime.now(UTC)

    def get(self, key: str, byte_range: ByteRange | None = None) -> FileBody:
        self.gate.wait()
        body = super().get(key, byte_range)
        self.bodies.append(body)
        return body


async def reached(gate: Gate) -> None:
    """Wait until a thread stands at the gate."""
    await asyncio.to_thread(gate.reached.wait, 10)


async def blocks(*data: bytes) -> AsyncIterator[bytes]:
    for block in data:
        await asyncio.sleep(0)
        yield block


def test_a_store_is_used_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with to_async(LocalStore(tmp_path, durable=False)) as store:
            info = await store.put("a/b", b"bytes", content_type="text/plain", metadata={"x": "1"})
            assert await store.head("a/b") == info
            async with await store.get("a/b", ByteRange(1, 3)) as body:
                assert (body.info, body.range) == (info, ByteRange(1, 3))
                assert await body.read(1) == b"y"
                assert [block async for block in body] == [b"t"]
            await store.put("c", blocks(b"by", b"", b"tes"), expected=Expected(size=5))
            copied = await store.copy("a/b", "d", if_match=info.etag)
            assert copied.metadata == {"x": "1"}
            assert [found.key async for found in store.list()] == ["a/b", "c", "d"]
            assert [found.key async for found in store.list("a/")] == ["a/b"]
            await store.delete("a/b")
            assert [found.key async for found in store.list(after="c")] == ["d"]

    asyncio.run(main())


def test_errors_are_those_of_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with to_async(LocalStore(tmp_path, durable=False)) as store:
            with pytest.raises(ObjectNotFoundError):
                await store.head("a")
            with pytest.raises(UploadRejectedError):
                await store.put("a", b"bytes", expected=Expected(size=4))
            with pytest.raises(UploadRejectedError):
                await store.put("a", blocks(b"by", b"tes"), expected=Expected(size=6))
            await store.put("a", b"")
            with pytest.raises(ObjectExistsError):
                await store.put("a", b"", if_absent=True)
            with pytest.raises(ZeroDivisionError):
                await store.put("b", failing())
            assert [found.key async for found in store.list()] == ["a"]

    async def failing() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    asyncio.run(main())
    assert list((tmp_path / ".scratch").iterdir()) == []


def test_a_long_listing_comes_whole() -> None:
    async def main() -> None:
        within = MemoryStore()
        keys = [f"{number:04}" for number in range(457)]
        for key in keys:
            within.put(key, b"")
        async with to_async(within) as store:
            assert [found.key async for found in store.list()] == keys

    asyncio.run(main())


def test_at_most_so_many_calls_run_at_once() -> None:
    async def main() -> None:
        threads, running, most, lock = Threads(3), 0, 0, threading.Lock()

        def call() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.005)
            with lock:
                running -= 1

        await asyncio.gather(*(threads.run(call) for _ in range(20)))
        threads.close()
        assert most == 3

    asyncio.run(main())


def test_a_call_sees_the_context_of_its_task() -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def main() -> str:
        threads = Threads(1)
        variable.set("of the task")
        try:
            return await threads.run(variable.get)
        finally:
            threads.close()

    assert asyncio.run(main()) == "of the task"


async def cancel_at(gate: Gate, task: "asyncio.Task[T]", *, times: int = 1) -> None:
    """Cancel a task while a thread of it stands at the gate; it must not be through before the thread is."""
    await reached(gate)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_task_waits_for_the_call_that_runs(times: int) -> None:
    """However often it is cancelled: what a thread has begun is over when the task is."""

    async def main() -> None:
        gate, threads = Gate(), Threads(1)
        task = asyncio.create_task(threads.run(gate.wait))
        await cancel_at(gate, task, times=times)
        assert gate.passed == 1
        threads.close()

    asyncio.run(main())


def test_a_cancelled_task_begins_no_call_that_waits() -> None:
    async def main() -> None:
        gate, other, threads = Gate(), Gate(), Threads(1)
        first = asyncio.create_task(threads.run(gate.wait))
        second = asyncio.create_task(threads.run(other.wait))
        await reached(gate)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.opened.set()
        await first
        threads.close()
        assert not other.reached.is_set()

    asyncio.run(main())


def test_the_error_of_a_call_whose_task_was_cancelled_is_dropped() -> None:
    """And not reported by asyncio as one that nobody looked at."""
    reports: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
        gate, threads = Gate(), Threads(1)

        def fail() -> None:
            gate.wait()
            raise ZeroDivisionError

        await cancel_at(gate, asyncio.create_task(threads.run(fail)))
        threads.close()

    asyncio.run(main())
    assert reports == []


def test_a_body_that_nobody_will_get_is_closed() -> None:
    async def main() -> None:
        gate = Gate()
        within = GatedStore(gate)
        gate.opened.set()
        within.put("a", b"bytes")
        gate.opened.clear()
        gate.reached.clear()
        async with to_async(within) as store:
            await cancel_at(gate, asyncio.create_task(store.get("a")))
        [body] = within.bodies
        with pytest.raises(ValueError, match="closed file"):
            body.read()

    asyncio.run(main())


@pytest.fixture
def scratch(tmp_path: Path) -> Callable[[], int]:
    """How many scratch files there are."""
    return lambda: len(list((tmp_path / ".scratch").iterdir()))


def test_an_upload_that_is_cancelled_between_blocks_leaves_nothing(tmp_path: Path, scratch: Callable[[], int]) -> None:
    async def main() -> None:
        stuck = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"half"
            stuck.set()
            await asyncio.Event().wait()

        async with to_async(LocalStore(tmp_path, durable=False)) as store:
            task = asyncio.create_task(store.put("a", slow()))
            await stuck.wait()
            assert scratch() == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert scratch() == 0
            with pytest.raises(ObjectNotFoundError):
                await store.head("a")

    asyncio.run(main())


def test_an_upload_is_cleaned_up_even_if_no_thread_is_free(tmp_path: Path, scratch: Callable[[], int]) -> None:
    """The cleaning waits for its turn, whatever cancellations come meanwhile."""

    async def main() -> None:
        store = AsyncStore(LocalStore(tmp_path, durable=False), threads=1)
        gate, written = Gate(), asyncio.Event()

        async def upload() -> None:
            async with store.upload("a") as target:
                await target.write(b"half")
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(upload())
        await written.wait()
        busy = asyncio.create_task(store._threads.run(gate.wait))
        await cancel_at(gate, task, times=3)
        await busy
        assert scratch() == 0
        store.close()

    asyncio.run(main())


def test_a_commit_that_has_begun_is_finished() -> None:
    """A cancelled task may have stored its object, whole, or not at all."""

    async def main() -> None:
        gate = Gate()
        within = GatedStore(gate)
        async with to_async(within) as store:
            await cancel_at(gate, asyncio.create_task(store.put("a", b"bytes")))
        assert [info.size for info in within.list()] == [5]

    asyncio.run(main())


def test_a_replacement_that_is_cancelled_between_blocks_leaves_what_was_there() -> None:
    """Its thread, which waits for the next block, does not wait for ever."""

    async def main() -> None:
        stuck, closed = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            try:
                yield b"half"
                stuck.set()
                await asyncio.Event().wait()
            finally:
                closed.set()

        async with to_async(MemoryStore()) as store:
            old = await store.put("a", b"old")
            task = asyncio.create_task(store.replace("a", slow(), if_match=old.etag))
            await stuck.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closed.wait()
            assert await store.head("a") == old

    asyncio.run(main())


def test_an_object_replaces_another_of_its_store_however_few_threads_there_are() -> None:
    """The thread that waits for blocks is none of those that read them."""

    async def main() -> None:
        async with to_async(MemoryStore(), threads=1) as store:
            await store.put("long", b"bytes" * 300_000)
            old = await store.put("a", b"old")
            async with await store.get("long") as body:
                assert (await store.replace("a", body, if_match=old.etag)).size == 1_500_000

    asyncio.run(main())


def test_what_fails_in_the_loop_fails_the_replacement() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    async def main() -> None:
        async with to_async(MemoryStore()) as store:
            old = await store.put("a", b"old")
            with pytest.raises(ZeroDivisionError):
                await store.replace("a", failing(), if_match=old.etag)
            assert await store.head("a") == old

    asyncio.run(main())


def test_a_store_that_knows_no_conditions_says_so() -> None:
    class Plain:
        """Everything that a store needs, and nothing else."""

        def __init__(self) -> None:
            within = MemoryStore()
            for name in ("head", "get", "list", "upload", "put", "copy", "delete"):
                setattr(self, name, getattr(within, name))

    async def main() -> None:
        plain: Any = Plain()
        async with to_async(plain) as store:
            old = await store.put("a", b"old")
            with pytest.raises(UnsupportedOperationError):
                await store.replace("a", b"new", if_match=old.etag)
            with pytest.raises(UnsupportedOperationError):
                await store.remove("a", if_match=old.etag)
            assert await store.head("a") == old

    asyncio.run(main())
