"""An asynchronous store as a synchronous one, for the contract: its loop runs in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import chain
from typing import BinaryIO, Self, TypeVar

from mamkit.storage import AsyncBody, AsyncStore, AsyncUpload, ByteRange, Expected, ObjectInfo, ObjectReader

T = TypeVar("T")


class Loop:
    """An event loop in a thread, for callers in others."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def __call__(self, what: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def close(self) -> None:
        self(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class FromALoop:
    """An `ObjectStore` whose calls are made from a loop, with the methods of an `AsyncStore`."""

    def __init__(self, store: AsyncStore, loop: Loop) -> None:
        self._store, self._run = store, loop

    def head(self, key: str) -> ObjectInfo:
        return self._run(self._store.head(key))

    def get(self, key: str, byte_range: ByteRange | None = None) -> "Body":
        return Body(self._run(self._store.get(key, byte_range)), self._run)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        found = drawn(self._store.list(prefix, after=after), self._run)
        first = next(found, None)  # asked for at once, so that a prefix is refused where the contract wants it
        return found if first is None else chain([first], found)

    def upload(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> "Writing":
        within = self._store.upload(
            key, content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
        )
        return Writing(within, self._run)

    def put(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        put = self._store.put(
            key, given(data), content_type=content_type, metadata=metadata, expected=expected, if_absent=if_absent
        )
        return self._run(put)

    def copy(
        self,
        source: str,
        key: str,
        *,
        origin: ObjectReader | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> ObjectInfo:
        return self._run(self._store.copy(source, key, origin=origin, if_match=if_match, if_absent=if_absent))

    def delete(self, key: str) -> None:
        self._run(self._store.delete(key))

    def replace(
        self,
        key: str,
        data: bytes | BinaryIO | Iterable[bytes],
        *,
        if_match: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        expected: Expected | None = None,
    ) -> ObjectInfo:
        replace = self._store.replace(
            key, given(data), if_match=if_match, content_type=content_type, metadata=metadata, expected=expected
        )
        return self._run(replace)

    def remove(self, key: str, *, if_match: str) -> None:
        self._run(self._store.remove(key, if_match=if_match))


class Body:
    """An `ObjectBody`."""

    def __init__(self, body: AsyncBody, run: Loop) -> None:
        self._body, self._run = body, run
        self.info, self.range = body.info, body.range

    def __iter__(self) -> Iterator[bytes]:
        return drawn(aiter(self._body), self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        return self._run(self._body.read(size))

    def close(self) -> None:
        self._run(self._body.close())


class Writing:
    """An `Upload`; it begins at once, so that it is refused where the contract wants it."""

    def __init__(self, within: AbstractAsyncContextManager[AsyncUpload], run: Loop) -> None:
        self._within, self._run = within, run
        self._upload = run(within.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._within.__aexit__(None, None, None))

    def write(self, block: bytes) -> None:
        self._run(self._upload.write(block))

    def commit(self) -> ObjectInfo:
        return self._run(self._upload.commit())


def drawn(things: AsyncIterator[T], run: Loop) -> Iterator[T]:
    """Yield what comes out of a loop."""

    async def coming_next() -> T | None:
        return await anext(things, None)

    while (thing := run(coming_next())) is not None:
        yield thing


def given(data: bytes | BinaryIO | Iterable[bytes]) -> bytes | AsyncIterator[bytes]:
    """Return data as an asynchronous store takes it."""
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else coming(data)


async def coming(data: BinaryIO | Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield blocks as a loop brings them; they may come out of the same loop."""
    blocks = iter(lambda: data.read(1 << 20), b"") if hasattr(data, "read") else iter(data)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
