"""Segments go into the store while the next ones are being encoded, and the API hears how far the part is."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from fractions import Fraction

from mamkit.previews.errors import ReportNotTakenError
from mamkit.previews.layout import MP4_TYPE, art_key, art_type, init_key, segment_key, segment_type
from mamkit.previews.messages import Ack
from mamkit.storage import ObjectInfo, ObjectStore
from mamkit.transcode import ArtFile, Init, Segment, TranscodeInterruptedError

__all__ = ["UPLOADS", "StoreSink"]

UPLOADS = 4
"""Objects of one worker on their way at once."""
MOST_BYTES = 64 << 20  # on their way; a segment of 6 s at 30 Mb/s is 23 MB. What is more waits in the encoders
PROGRESS_EVERY = 0.5  # seconds; a subscriber is told at most twice a second


class StoreSink:
    """A `Sink` that puts segments into the store as they come; in the end comes `finish`, and in any case `abandon`.

    Args:
        store: Where they go.
        prefix: Of the preview's objects.
        threads: Upload.
        tell: Says how far the part is, and returns whether it is still wanted.
    """

    def __init__(self, store: ObjectStore, prefix: str, threads: Executor, tell: Callable[[Fraction], Ack]) -> None:
        self._store = store
        self._prefix = prefix
        self._threads = threads
        self._tell = tell
        self._next = 0.0
        self._under_way: deque[tuple[int, Future[ObjectInfo]]] = deque()
        self._bytes = 0

    def announce(self) -> bool:
        """Say that the part has begun; return whether it is still wanted."""
        self._next = time.monotonic() + PROGRESS_EVERY
        return self._tell(Fraction(0)).wanted

    def init(self, init: Init, data: bytes) -> None:
        """See `Sink.init`."""
        self._put(init_key(self._prefix, init), data, MP4_TYPE)

    def segment(self, segment: Segment, data: bytes) -> None:
        """See `Sink.segment`."""
        self._put(segment_key(self._prefix, segment), data, segment_type(segment))

    def art(self, file: ArtFile, data: bytes) -> None:
        """See `Sink.art`."""
        self._put(art_key(self._prefix, file), data, art_type(file))

    def progress(self, done: Fraction) -> None:
        """See `Sink.progress`.

        Raises:
            TranscodeInterruptedError: The preview is no longer wanted.
        """
        now = time.monotonic()
        if now < self._next or done == 1:  # of the end there is a report of its own
            return
        self._next = now + PROGRESS_EVERY
        try:
            ack = self._tell(done.limit_denominator(1000))
        except ReportNotTakenError:
            return  # progress is worth no retry; the end of the part is
        if not ack.wanted:
            raise TranscodeInterruptedError("the preview is no longer wanted")

    def finish(self) -> None:
        """Wait until everything is in the store.

        Raises:
            StorageError: Something could not be stored.
        """
        while self._under_way:
            self._wait_for_oldest()

    def abandon(self) -> None:
        """Begin no more uploads and wait for those that have begun, so that none ends after its job was handed back."""
        for _, upload in self._under_way:
            upload.cancel()
        for _, upload in self._under_way:
            if not upload.cancelled():
                upload.exception()
        self._under_way.clear()

    def _put(self, key: str, data: bytes, content_type: str) -> None:
        while self._under_way and (self._under_way[0][1].done() or self._bytes + len(data) > MOST_BYTES):
            self._wait_for_oldest()
        self._bytes += len(data)
        # In the context of the job: whoever observes the store may want to know for whom it works.
        upload = self._threads.submit(copy_context().run, self._store.put, key, data, content_type=content_type)
        self._under_way.append((len(data), upload))

    def _wait_for_oldest(self) -> None:
        size, upload = self._under_way.popleft()
        upload.result()
        self._bytes -= size
