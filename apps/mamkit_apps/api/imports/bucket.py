"""A watched bucket: objects below a prefix, which are whole from the moment that they are seen."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import PurePosixPath

from mamkit.catalog.import_models import Import, ImportKind
from mamkit.previews.ingest import extension_of
from mamkit.storage import (
    ByteRange,
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStore,
)
from mamkit_apps.api.imports.errors import SourceChangedError, SourceTooLargeError
from mamkit_apps.api.imports.holding import Hold
from mamkit_apps.api.imports.sniffing import HEAD, check_head
from mamkit_apps.api.imports.transfer import Transfer, digest_of_staged, in_thread, staged_key
from mamkit_apps.api.imports.watching import DONE, FAILED, Found, origin_of, put_away_name

__all__ = ["Bucket", "BucketBringer"]

MOST = 1000  # objects that one look lists: what a look costs does not grow with the bucket. S3 lists as many at once
LAST = "\U0010ffff"  # sorts after all that a key may go on with
MAX_NAME = 1024  # characters of a key


class Bucket:
    """The objects of a store below a prefix.

    Each look lists the next thousand, and after the last begins at the first. `done/` and `failed/` below the prefix
    hold what was put away, and are stepped over.

    Args:
        store: Of any kind.
        prefix: Empty, or ends with a slash.
    """

    kind: ImportKind = "bucket"

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._after = ""

    def look(self, known: Collection[str]) -> Sequence[Found]:
        """See `Inbox.look`.

        Raises:
            StorageUnavailableError: The store does not answer.
        """
        found: list[Found] = []
        listed = 0
        while listed < MOST:
            before = listed
            for info in islice(self._store.list(self._prefix, after=self._after), MOST - listed):
                self._after, listed = info.key, listed + 1
                name = info.key.removeprefix(self._prefix)
                if name.startswith((f"{DONE}/", f"{FAILED}/")):
                    self._after = f"{self._prefix}{name.partition('/')[0]}/{LAST}"
                    break
                origin = _origin(info)
                if info.size and origin not in known and len(info.key) <= MAX_NAME:
                    found.append(Found(name=name, origin=origin, size=info.size))
            else:
                if listed < MOST or listed == before:
                    self._after = ""
                    break
        return found

    def opened(self, row: Import) -> ObjectInfo:
        """Return the facts of the object of an import, if it is still as it was found.

        Raises:
            SourceChangedError: It is not, or is gone.
        """
        try:
            info = self._store.head(self._prefix + row.source)
        except ObjectNotFoundError as error:
            raise SourceChangedError from error
        if _origin(info) != row.origin:
            raise SourceChangedError
        return info

    def head(self, info: ObjectInfo) -> bytes:
        """Return the first bytes of an object."""
        with self._store.get(info.key, ByteRange(0, HEAD)) as body:
            return body.read()

    def carry(self, info: ObjectInfo, target: ObjectStore, key: str) -> ObjectInfo:
        """Copy an object, as it is known, into another store; between two of one server, the server does it.

        Raises:
            SourceChangedError: It has changed.
        """
        try:
            return target.copy(info.key, key, origin=self._store, if_match=info.etag)
        except (ObjectChangedError, ObjectNotFoundError) as error:
            raise SourceChangedError from error

    def put_away(self, row: Import, where: str, reason: str) -> None:
        """See `Inbox.put_away`.

        A store deletes whatever lies under a key. What somebody puts there between the last look at it and the
        deletion, some milliseconds, is lost unless the bucket keeps versions.

        Raises:
            StorageUnavailableError: The store does not answer.
        """
        try:
            info = self.opened(row)
            target = f"{self._prefix}{where}/{row.source}"
            try:
                self._store.copy(info.key, target, if_match=info.etag, if_absent=True)
            except ObjectExistsError:
                target = f"{self._prefix}{where}/{put_away_name(row)}"
                self._store.copy(info.key, target, if_match=info.etag)
            if reason:
                self._store.put(f"{target}.reason.txt", reason.encode(), content_type="text/plain; charset=utf-8")
            self.opened(row)
        except (SourceChangedError, ObjectChangedError, ObjectNotFoundError):
            return  # it is gone, or another has taken its place, which is looked at by itself
        self._store.delete(info.key)


class BucketBringer:
    """Brings objects of a watched bucket.

    Args:
        bucket: The bucket.
        staging: Where the bytes go.
        most: Bytes of the largest object.
    """

    def __init__(self, bucket: Bucket, staging: ObjectStore, *, most: int) -> None:
        self._bucket = bucket
        self._staging = staging
        self._most = most

    async def bring(self, row: Import, hold: Hold, *, within: timedelta) -> Transfer:
        """Copy an object into staging, if it is still as it was found; see `Bringer.bring`.

        Raises:
            SourceChangedError: It is not, or is gone.
            SourceTooLargeError: It is too large.
            SourceRefusedError: It is no film and no sound.
            MamkitError: A store fails.
        """
        del within  # the store has its own patience
        info = await in_thread(self._bucket.opened, row)
        if info.size > self._most:
            raise SourceTooLargeError(self._most)
        check_head(await in_thread(self._bucket.head, info))
        key = staged_key(row.user_id, row.asset_id, row.id, extension_of(PurePosixPath(row.source).name))
        transfer = Transfer(key=key, content_type=info.content_type, filename=row.filename)
        await hold.keep(transfer)
        copied = await in_thread(self._bucket.carry, info, self._staging, key)
        return transfer.whole(await in_thread(digest_of_staged, self._staging, copied))


def _origin(info: ObjectInfo) -> str:
    return origin_of("bucket", info.key, info.size, info.etag)
