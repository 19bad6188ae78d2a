"""The objects of a bucket in the order of their keys' UTF-8 bytes, page by page.

Amazon S3 lists in that order. SeaweedFS lists folder by folder ("a/b" before "a-b"), so there each folder is listed for
itself and a heap puts them in order: a request for each folder, and memory for the folders that are open.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from heapq import heappop, heappush
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from mamkit.storage.errors import InvalidKeyError
from mamkit.storage.models import ObjectInfo
from mamkit.storage.s3._client import S3Client, check_own_key
from mamkit.storage.s3._wire import parse_xml, refusals, text_of

__all__ = ["list_objects"]

_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

Fetch = Callable[[Mapping[str, str]], ET.Element]
"""Asks for one page ("ListObjectsV2") and returns the document."""


def list_objects(client: S3Client, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Yield the objects whose keys start with `prefix` and sort after `after`, without their facts.

    Others leave folder markers, and keys that no store of ours takes: they are passed over, as the store's own are.

    Raises:
        StorageError: The server says no.
    """
    server = ""

    def fetch(query: Mapping[str, str]) -> ET.Element:
        nonlocal server
        answer = client.transport.request("GET", "", query=query)
        server = answer.headers.get("server", "")
        return parse_xml(answer.data)

    with refusals(prefix or client.name):
        fetch({"list-type": "2", "prefix": prefix, "max-keys": "1"})
        list_all = _list_folders if server.startswith("SeaweedFS") else _list_flat
        for info in list_all(fetch, prefix, after):
            if _is_ours(info.key):
                yield info


def _list_flat(fetch: Fetch, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Yield the objects as a server lists them that keeps to the order."""
    # What XML cannot say, some servers cannot echo; a little too much is listed then, and passed over.
    start = _UNSPEAKABLE.split(after)[0]
    query = {"prefix": prefix} | ({"start-after": start} if start else {})
    for page in _pages(fetch, query):
        for element in page.iterfind("Contents"):
            info = _info(element)
            if info.key.startswith(prefix) and info.key > after:
                yield info


def _list_folders(fetch: Fetch, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Yield the objects in order though the server lists folder by folder."""
    start = prefix[: prefix.rfind("/") + 1]
    count = itertools.count()  # so that entries of one place are never compared further
    # What is to come: objects; folders, where the smallest key in them might be; and pages that are not fetched yet,
    # where the last name of the page before them was, since a page is in order of the names in its folder.
    heap: list[tuple[str, int, ObjectInfo | Iterator[ET.Element] | None]] = [(start, next(count), None)]
    while heap:
        key, _, entry = heappop(heap)
        if isinstance(entry, ObjectInfo):
            yield entry
            continue
        if entry is None:
            entry = _pages(fetch, {"prefix": prefix if prefix.startswith(key) else key, "delimiter": "/"})
        page = next(entry, None)
        if page is None:
            continue
        last = key
        for element in page.iterfind("Contents"):
            info = _info(element)
            last = max(last, info.key)
            if info.key.startswith(prefix) and info.key > after:
                heappush(heap, (info.key, next(count), info))
        for element in page.iterfind("CommonPrefixes"):
            folder = unquote_plus(text_of(element, "Prefix"))
            last = max(last, folder.removesuffix("/"))
            if folder != key and (folder > after or after.startswith(folder)):
                heappush(heap, (folder, next(count), None))
        heappush(heap, (last, next(count), entry))


def _is_ours(key: str) -> bool:
    try:
        check_own_key(key)
    except InvalidKeyError:
        return False
    return True


def _pages(fetch: Fetch, query: Mapping[str, str]) -> Iterator[ET.Element]:
    query = {"list-type": "2", "encoding-type": "url", **query}
    while True:
        page = fetch(query)
        yield page
        token = text_of(page, "NextContinuationToken")
        if text_of(page, "IsTruncated") != "true" or not token:
            return
        query = {**query, "continuation-token": token}


def _info(element: ET.Element) -> ObjectInfo:
    return ObjectInfo(
        key=unquote_plus(text_of(element, "Key")),
        size=int(text_of(element, "Size")),
        etag=text_of(element, "ETag").strip('"'),
        # Whole seconds, as `Last-Modified` of the same object has them.
        modified_at=datetime.fromisoformat(text_of(element, "LastModified")).astimezone(UTC).replace(microsecond=0),
    )
