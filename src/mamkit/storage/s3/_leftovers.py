"""What a process that was killed has left in a bucket: parts that nobody completes, objects that nobody moves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from mamkit.clock import Clock
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.s3._client import RESERVED, S3Client
from mamkit.storage.s3._wire import parse_xml, refusals, text_of

__all__ = ["S3Leftovers"]


class S3Leftovers:
    """Finds and removes them.

    Args:
        client: Asks.
        clock: Tells how old something is.
    """

    def __init__(self, client: S3Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def remove(self, *, older_than: timedelta) -> int:
        """Remove those of an age, and return how many there were."""
        count = 0
        for key, upload_id in list(self.find(older_than=older_than)):
            with refusals(key):
                query = {"uploadId": upload_id} if upload_id else None
                self._client.transport.request("DELETE", key, query=query)
            count += 1
        return count

    def find(self, *, older_than: timedelta) -> Iterator[tuple[str, str]]:
        """Yield key and id of the uploads of an age, and key and nothing of such objects."""
        limit = self._clock() - older_than
        with refusals(self._client.name):
            yield from self._uploads(limit)
            yield from self._gathered(limit)

    def _uploads(self, limit: datetime) -> Iterator[tuple[str, str]]:
        markers: dict[str, str] = {}
        while True:
            answer = self._client.transport.request("GET", "", query={"uploads": "", **markers})
            page = parse_xml(answer.data)
            for each in page.iterfind("Upload"):
                if _time(text_of(each, "Initiated")) <= limit:
                    yield text_of(each, "Key"), text_of(each, "UploadId")
            following = {
                "key-marker": text_of(page, "NextKeyMarker"),
                "upload-id-marker": text_of(page, "NextUploadIdMarker"),
            }
            if text_of(page, "IsTruncated") != "true" or following == markers:
                return
            markers = following

    def _gathered(self, limit: datetime) -> Iterator[tuple[str, str]]:
        query = {"list-type": "2", "prefix": f"{RESERVED}parts/"}
        while True:
            page = parse_xml(self._client.transport.request("GET", "", query=query).data)
            for each in page.iterfind("Contents"):
                if _time(text_of(each, "LastModified")) <= limit:
                    yield text_of(each, "Key"), ""
            token = text_of(page, "NextContinuationToken")
            if text_of(page, "IsTruncated") != "true" or not token:
                return
            query = {**query, "continuation-token": token}


def _time(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise StorageUnavailableError("the answer", f"{value[:50]!r} is no time") from error
