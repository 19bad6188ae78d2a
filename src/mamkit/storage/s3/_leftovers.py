"""What a process that was killed has left in a bucket: parts that nobody completes, objects that nobody moves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from mamkit.clock import Clock
from mamkit.storage.errors import StorageUnavailableError
from mamkit.storage.models import UnfinishedUpload
from mamkit.storage.s3._client import RESERVED, S3Client
from mamkit.storage.s3._wire import RefusalError, parse_xml, refusals, text_of, to_error

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

    def remove(self, *, older_than: timedelta) -> tuple[UnfinishedUpload, ...]:
        """Remove those of an age, and return them; one that is completed or removed meanwhile is not among them."""
        removed = []
        for found in list(self.find(older_than=older_than)):
            query = {"uploadId": found.upload_id} if found.upload_id else None
            try:
                self._client.transport.request("DELETE", found.key, query=query)
            except RefusalError as refusal:
                if refusal.status != HTTPStatus.NOT_FOUND:
                    raise to_error(refusal, found.key) from refusal
            else:
                removed.append(found)
        return tuple(removed)

    def find(self, *, older_than: timedelta) -> Iterator[UnfinishedUpload]:
        """Yield the uploads and the gathered objects of an age."""
        limit = self._clock() - older_than
        with refusals(self._client.name):
            yield from self._uploads(limit)
            yield from self._gathered(limit)

    def _uploads(self, limit: datetime) -> Iterator[UnfinishedUpload]:
        markers: dict[str, str] = {}
        while True:
            answer = self._client.transport.request("GET", "", query={"uploads": "", **markers})
            page = parse_xml(answer.data)
            for each in page.iterfind("Upload"):
                begun_at = _time(text_of(each, "Initiated"))
                if begun_at <= limit:
                    key, upload_id = text_of(each, "Key"), text_of(each, "UploadId")
                    yield UnfinishedUpload(key=key, upload_id=upload_id, begun_at=begun_at)
            following = {
                "key-marker": text_of(page, "NextKeyMarker"),
                "upload-id-marker": text_of(page, "NextUploadIdMarker"),
            }
            if text_of(page, "IsTruncated") != "true" or following == markers:
                return
            markers = following

    def _gathered(self, limit: datetime) -> Iterator[UnfinishedUpload]:
        query = {"list-type": "2", "prefix": f"{RESERVED}parts/"}
        while True:
            page = parse_xml(self._client.transport.request("GET", "", query=query).data)
            for each in page.iterfind("Contents"):
                begun_at = _time(text_of(each, "LastModified"))
                if begun_at <= limit:
                    yield UnfinishedUpload(key=text_of(each, "Key"), upload_id="", begun_at=begun_at)
            token = text_of(page, "NextContinuationToken")
            if text_of(page, "IsTruncated") != "true" or not token:
                return
            query = {**query, "continuation-token": token}


def _time(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError as error:
        raise StorageUnavailableError("the answer", f"{value[:50]!r} is no time") from error
