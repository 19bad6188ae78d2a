"""`GET` and `HEAD`: objects of the previews zone (and staged or master objects that were signed)."""

import os
from collections.abc import Mapping
from http import HTTPStatus

from mamkit.signing import Carried, Grant, SignatureScopeError, UrlSigner
from mamkit.storage import (
    ByteRange,
    HasLocalPath,
    ObjectBody,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStore,
    StorageUnavailableError,
)
from mamkit.storage.aio import Threads
from mamkit_apps.edge.cache import Entry, ObjectCache, compress
from mamkit_apps.edge.exchange import Exchange
from mamkit_apps.edge.files import OpenFiles
from mamkit_apps.edge.offload import Offload
from mamkit_apps.edge.policy import ACCEPTED_CONDITIONS, describe, is_playlist
from mamkit_apps.edge.ranges import part_head, part_tail, range_headers
from mamkit_apps.edge.representations import Representations
from mamkit_apps.edge.request import Answer, Headers, Request
from mamkit_apps.edge.settings import EdgeSettings

__all__ = ["Delivery"]

LARGE_BLOCK = 256 << 10  # bytes of a stream that are read at once while there is memory
SMALL_BLOCK = 32 << 10  # bytes when there is not: of any number of slow clients, each holds so much
CONDITIONS = frozenset({b"range", b"if-none-match", b"if-modified-since"})  # need facts of an object to be answered
END = b"#EXT-X-ENDLIST"  # RFC 8216 section 4.3.3.4: nothing will be added


class Delivery:
    """Sends objects, from memory where they are hot.

    Args:
        settings: Of the edge.
        signer: Tells the time that grants are held against.
        zones: Stores by the first segment of their keys.
        threads: For calls that block.
        cache: Hot objects.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        signer: UrlSigner,
        zones: Mapping[str, ObjectStore],
        threads: Threads,
        cache: ObjectCache,
    ) -> None:
        self._signer = signer
        self._zones = zones
        self._threads = threads
        self._cache = cache
        self._files = OpenFiles(seconds=settings.edge_cache_seconds)
        self._shown = Representations(settings, signer)
        self._offload = None if settings.edge_offload == "none" else Offload(settings)

    def close(self) -> None:
        """Close the files that are kept open."""
        self._files.close()

    def store_of(self, key: str) -> ObjectStore:
        """Return the store of the zone whose keys start as this one does.

        Raises:
            ObjectNotFoundError: There is no such zone.
        """
        store = self._zones.get(key.partition("/")[0])
        if store is None:
            raise ObjectNotFoundError(key)
        return store

    def find_answer(
        self, request: Request, carried: Carried, grant: Grant, more: Headers
    ) -> tuple[Answer, Entry | None] | None:
        """Return the answer, if it is known without waiting, and the entry of the cache that it is taken from, if any.

        Args:
            request: What is asked.
            carried: Its key and token.
            grant: What the token grants; it was held against the request, but for its conditions.
            more: Headers that the answer gets besides.

        Raises:
            SignatureScopeError: The grant is one for uploads.
            StorageError: The object cannot be had.
        """
        key = carried.key
        if grant.conditions and not grant.conditions.keys() <= ACCEPTED_CONDITIONS:
            raise SignatureScopeError(key, "an upload")
        if self._offload is not None and not is_playlist(key):
            headers = self._shown.headers(request, [], "", carried, grant, growing=False) + more
            left = grant.expires_at - self._signer.now()
            return self._offload.answer(request, self.store_of(key), key, headers, left=left), None
        entry = self._cache.find(key)
        if entry is None or entry.info.size > self._cache.largest:
            return None
        request.outcome = "hit"
        return self._shown.of_entry(request, entry, carried, grant, more), entry

    async def deliver(self, exchange: Exchange, carried: Carried, grant: Grant, more: Headers) -> None:
        """Send an object, or the ranges of it that were asked for; arguments and errors are those of `find_answer`."""
        key, found = carried.key, self.find_answer(exchange, carried, grant, more)
        if found is not None:
            await self._reply(exchange, *found)
            return
        store = self.store_of(key)
        entry = self._cache.find(key)  # which says, where it is there, that the object is too large to be held
        if entry is None and exchange.sends_files and isinstance(store, HasLocalPath) and self._prefers_files(key):
            await self._send_file(exchange, store, carried, grant, more)
            return
        if entry is None and exchange.method == "GET" and self._cache.admits():
            exchange.outcome = "miss"
            entry = await self._hold(key, store)
            try:
                if entry.info.size <= self._cache.largest:
                    await exchange.reply(self._shown.of_entry(exchange, entry, carried, grant, more))
                    return
            finally:
                self._cache.let_go(entry)
        exchange.outcome = "stream"
        if exchange.method == "GET" and CONDITIONS.isdisjoint(exchange.fields):
            await self._stream_whole(exchange, carried, grant, more)
            return
        info = entry.info if entry is not None else await self._threads.run(store.head, key)
        await self._stream(exchange, info, carried, grant, more)

    async def _reply(self, exchange: Exchange, answer: Answer, entry: Entry | None) -> None:
        if entry is None:
            await exchange.reply(answer)
            return
        self._cache.acquire(entry)
        try:
            await exchange.reply(answer)
        finally:
            self._cache.let_go(entry)

    def _prefers_files(self, key: str) -> bool:
        """Return whether the operating system's cache is to serve an object; this process compresses playlists."""
        return not is_playlist(key) and (self._cache.is_crowded() or not self._cache.admits())

    async def _hold(self, key: str, store: ObjectStore) -> Entry:
        known = self._cache.stale(key)
        largest = self._cache.largest

        async def fetch(key: str) -> Entry:
            if known is not None:
                info = await self._threads.run(store.head, key)
                if info == known.info:
                    return known
            return await self._threads.run(_read, store, key, largest)

        return await self._cache.hold(key, fetch)

    async def _send_file(
        self, exchange: Exchange, store: ObjectStore, carried: Carried, grant: Grant, more: Headers
    ) -> None:
        """Have the operating system send an object's file, from its own cache if it is there."""
        exchange.outcome = "file"
        async with self._files.open(
            carried.key, lambda: self._threads.open(_close, _open_ahead, store, carried.key)
        ) as body:
            info, descriptor = body.info, body.fileno()  # type: ignore[attr-defined]
            begun = self._shown.begin(exchange, info, carried, grant, more)
            if isinstance(begun, Answer):
                await exchange.reply(begun)
                return
            status, headers, ranges, mark = begun
            if not mark and info.size:
                [only] = ranges or [ByteRange(0, info.size)]
                await exchange.send_file(descriptor, only.start, only.stop or info.size, head=(status, headers))
                await exchange.finish()
                return
            await exchange.start(status, headers)
            for each in ranges:
                await exchange.write(part_head(mark, info.content_type, each, info.size))
                await exchange.send_file(descriptor, each.start, each.stop or info.size)
            await exchange.finish(part_tail(mark) if mark else b"")

    async def _stream_whole(self, exchange: Exchange, carried: Carried, grant: Grant, more: Headers) -> None:
        """Stream an object with one request to its store, since nothing has to be known of it before."""
        body = await self._threads.open(_close, self.store_of(carried.key).get, carried.key)
        try:
            info, etag = body.info, f'"{body.info.etag}"'
            growing = is_playlist(carried.key)
            headers = self._shown.headers(exchange, describe(info), etag, carried, grant, growing=growing) + more
            await exchange.start(HTTPStatus.OK, range_headers(headers, info, [], ""))
            await self._copy(exchange, body)
        finally:
            await self._threads.finish(body.close)
        await exchange.finish()

    async def _stream(
        self, exchange: Exchange, info: ObjectInfo, carried: Carried, grant: Grant, more: Headers
    ) -> None:
        store = self.store_of(info.key)
        begun = self._shown.begin(exchange, info, carried, grant, more)
        if isinstance(begun, Answer):
            await exchange.reply(begun)
            return
        status, headers, ranges, mark = begun
        wanted: list[ByteRange | None] = [*ranges] if ranges else [None]
        for number, each in enumerate(wanted):
            body = await self._threads.open(_close, store.get, info.key, each)
            try:
                if body.info.etag != info.etag:
                    raise StorageUnavailableError(info.key, "the object was replaced just now; ask again")
                if not number:  # what the first body has is what the headers tell of
                    await exchange.start(status, headers)
                if mark and each is not None:
                    await exchange.write(part_head(mark, info.content_type, each, info.size))
                await self._copy(exchange, body)
            finally:
                await self._threads.finish(body.close)
        await exchange.finish(part_tail(mark) if mark else b"")

    async def _copy(self, exchange: Exchange, body: ObjectBody) -> None:
        """Send a body block by block; the next one is read when the client has taken the last."""
        while True:
            roomy = self._cache.reserve(LARGE_BLOCK)
            try:
                block = await self._threads.run(body.read, LARGE_BLOCK if roomy else SMALL_BLOCK)
                if not block:
                    return
                await exchange.write(block)
            finally:
                if roomy:
                    self._cache.release(LARGE_BLOCK)


def _read(store: ObjectStore, key: str, largest: int) -> Entry:
    """Return an object with its bytes, or without them if it is too large to be held."""
    with store.get(key) as body:
        info = body.info
        if info.size > largest:
            return Entry(info, b"")
        data = body.read(info.size)
        while len(data) < info.size:  # a body may give less than it was asked for
            data += body.read(info.size - len(data))
    playlist = is_playlist(key)
    return Entry(
        info,
        data,
        compressed=compress(data) if playlist else None,
        head=describe(info),
        growing=playlist and END not in data,
    )


def _open_ahead(store: ObjectStore, key: str) -> ObjectBody:
    """Return an opened object whose file the operating system has been told to read."""
    body = store.get(key)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(body.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)  # type: ignore[attr-defined]
    return body


def _close(body: ObjectBody) -> None:
    body.close()
