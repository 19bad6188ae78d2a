"""Any store from asyncio: its calls run in a bounded number of threads.

asyncio is imported by whoever has a loop: loading it takes as long as the rest of `mamkit.storage`, which most use
without.
"""

import contextvars
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import islice
from typing import ParamSpec, Self, TypeVar

from mamkit.storage.errors import UnsupportedOperationError
from mamkit.storage.models import ByteRange, Expected, ObjectInfo
from mamkit.storage.protocols import ChangesIfMatch, ObjectBody, ObjectReader, ObjectStore, Upload

__all__ = ["AsyncBody", "AsyncStore", "AsyncUpload", "Threads", "to_async"]

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 100  # objects that a listing fetches in one go of a thread


class Threads:
    """A bounded number of threads for blocking calls.

    Args:
        count: How many calls run at once; more of them wait.
    """

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="mamkit-storage")
        self._fed = ThreadPoolExecutor(count, thread_name_prefix="mamkit-storage-fed")

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a thread and return what it returns.

        If the task is cancelled, a call that has not begun does not begin, and one that has begun is waited for: once
        the cancellation is through, nothing of it goes on behind the task's back.
        """
        job = self._submit(call, *args, **kwargs)
        return await _outcome(job, cancel=job.cancel)

    async def open(self, close: Callable[[T], object], call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for a call that opens something: what a cancelled task will not get is closed."""
        from asyncio import CancelledError  # noqa: PLC0415 - see above

        job = self._submit(call, *args, **kwargs)
        try:
            return await _outcome(job, cancel=job.cancel)
        except CancelledError:
            if not job.cancelled() and job.exception() is None:
                close(job.result())
            raise

    async def feed(self, stop: Callable[[], object], call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for a call that waits for this loop: if the task is cancelled, `stop` tells it not to.

        It has a thread beside those of `run`, for which what it waits for may wait in turn.
        """
        job = self._fed.submit(contextvars.copy_context().run, partial(call, *args, **kwargs))
        return await _outcome(job, cancel=lambda: job.cancel() or bool(stop()))

    async def finish(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for a call that cleans up: it is done even if the task is cancelled before it has begun."""
        return await _outcome(self._submit(call, *args, **kwargs), cancel=lambda: False)

    def close(self) -> None:
        """End the threads when they have done what was begun."""
        self._executor.shutdown(wait=False)
        self._fed.shutdown(wait=False)

    def _submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._executor.submit(contextvars.copy_context().run, partial(call, *args, **kwargs))


class AsyncBody:
    """An object opened for reading: an async context manager, to be closed. Iterating yields blocks of bytes."""

    def __init__(self, body: ObjectBody, threads: Threads) -> None:
        self._body = body
        self._blocks = iter(body)
        self._threads = threads

    @property
    def info(self) -> ObjectInfo:
        """Facts of the object whose bytes these are."""
        return self._body.info

    @property
    def range(self) -> ByteRange:
        """The range that was found, `stop` never None."""
        return self._body.range

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await self._threads.run(next, self._blocks, b""):
            yield block

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is negative; none at the end."""
        return await self._threads.run(self._body.read, size)

    async def close(self) -> None:
        """Free what the body holds; may be called twice."""
        await self._threads.finish(self._body.close)


class AsyncUpload:
    """Bytes on their way into an object; see `mamkit.storage.Upload`."""

    def __init__(self, upload: Upload, threads: Threads) -> None:
        self._upload = upload
        self._threads = threads

    async def write(self, block: bytes) -> None:
        """Take the next bytes."""
        await self._threads.run(self._upload.write, block)

    async def commit(self) -> ObjectInfo:
        """Make the object visible under its key, at once and whole."""
        return await self._threads.run(self._upload.commit)


class _Feed:
    """Blocks that come from a loop, for a thread that asks for one after the other."""

    def __init__(self, blocks: AsyncIterable[bytes]) -> None:
        import asyncio  # noqa: PLC0415 - see above

        self._loop = asyncio.get_running_loop()
        self._ask = asyncio.run_coroutine_threadsafe
        self._blocks = aiter(blocks)
        self._asked: Future[bytes | None] | None = None
        self._stopped = False

    def __iter__(self) -> Iterator[bytes]:
        while (block := self._next()) is not None:
            yield block

    def _next(self) -> bytes | None:
        asked = self._asked = self._ask(self._coming(), self._loop)
        if self._stopped:
            asked.cancel()
        return asked.result()

    async def _coming(self) -> bytes | None:
        return await anext(self._blocks, None)

    def stop(self) -> None:
        """Let the thread, which waits for a block or will, find that there are no more."""
        self._stopped = True
        if self._asked is not None:
            self._asked.cancel()


class AsyncStore:
    """A store for asyncio; its methods and errors are those of the store within. An async context manager.

    Args:
        store: Does the work.
        threads: How many of its calls run at once.
    """

    def __init__(self, store: ObjectStore, *, threads: int = 8) -> None:
        self._store = store
        self._threads = Threads(threads)

    def __repr__(self) -> str:
        return f"AsyncStore({self._store!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; the store within is left as it is."""
        self._threads.close()

    async def head(self, key: str) -> ObjectInfo:
        """Return the facts of an object."""
        return await self._threads.run(self._store.head, key)

    async def get(self, key: str, byte_range: ByteRange | None = None) -> AsyncBody:
        """Open an object, or a run of its bytes."""
        body = await self._threads.open(_close, self._store.get, key, byte_range)
        return AsyncBody(body, self._threads)

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix` and sort after `after`, in order of their UTF-8 bytes."""
        objects = await self._threads.run(self._store.list, prefix, after=after)
        while page := await self._threads.run(_page, objects):
            for info in page:
                yield info

    @asynccontextmanager
    async def upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> AsyncIterator[AsyncUpload]:
        """Write an object block by block; leaving without `commit`, cancellation included, leaves nothing behind."""
        upload = self._store.upload(
            key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
        )
        opened = await self._threads.open(lambda _: upload.__exit__(None, None, None), upload.__enter__)
        try:
            yield AsyncUpload(opened, self._threads)
        finally:
            await self._threads.finish(upload.__exit__, None, None, None)

    async def put(
        self,
        key: str,
        data: bytes | AsyncIterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write a whole object."""
        writing = self.upload(key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent)
        async with writing as upload:
            if isinstance(data, AsyncIterable):
                async for block in data:
                    await upload.write(block)
            else:
                await upload.write(data)
            return await upload.commit()

    async def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Copy an object of this store, or of the (synchronous) store `origin`."""
        return await self._threads.run(
            self._store.copy, source, key, origin=origin, if_match=if_match, if_absent=if_absent
        )

    async def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        await self._threads.run(self._store.delete, key)

    async def replace(
        self,
        key: str,
        data: bytes | AsyncIterable[bytes],
        *,
        if_match: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
    ) -> ObjectInfo:
        """Write a whole object in the place of just the one with this ETag.

        Raises:
            UnsupportedOperationError: The store within knows no conditions.
        """
        change = partial(
            self._matching().replace, if_match=if_match, content_type=content_type, metadata=metadata, expected=expected
        )
        if not isinstance(data, AsyncIterable):
            return await self._threads.run(change, key, data)
        feed = _Feed(data)
        return await self._threads.feed(feed.stop, change, key, feed)

    async def remove(self, key: str, *, if_match: str) -> None:
        """Remove an object, if it is the one with this ETag.

        Raises:
            UnsupportedOperationError: The store within knows no conditions.
        """
        await self._threads.run(self._matching().remove, key, if_match=if_match)

    def _matching(self) -> ChangesIfMatch:
        if not isinstance(self._store, ChangesIfMatch):
            raise UnsupportedOperationError(f"{self._store!r} knows no conditions of changes")
        return self._store


def to_async(store: ObjectStore, *, threads: int = 8) -> AsyncStore:
    """Return a store for asyncio; close it, or leave it as a context manager, to end its threads.

    Args:
        store: Does the work.
        threads: How many of its calls run at once.
    """
    return AsyncStore(store, threads=threads)


async def _outcome(job: Future[T], *, cancel: Callable[[], bool]) -> T:
    """Return what a job returns; if the task is cancelled and the job cannot be, wait for its end first."""
    import asyncio  # noqa: PLC0415 - see above

    result = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(result)
    except asyncio.CancelledError:
        if not cancel():
            while not result.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([result])
            with suppress(asyncio.CancelledError):
                result.exception()  # or asyncio would report that nobody has looked at it
        raise


def _close(body: ObjectBody) -> None:
    body.close()


def _page(objects: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    return list(islice(objects, _PAGE))
