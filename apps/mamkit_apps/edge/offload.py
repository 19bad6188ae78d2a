"""Letting somebody else send the bytes: nginx in front of the edge, or the store itself."""

from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from urllib.parse import quote

from mamkit.storage import HasLocalPath, ObjectNotFoundError, ObjectStore, SignsDownloads
from mamkit_apps.edge.policy import describe
from mamkit_apps.edge.request import Answer, Headers, Request
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import SettingsError

__all__ = ["Offload", "check_offload"]

REDIRECT = timedelta(seconds=60)  # a redirect is followed at once
LEAST = timedelta(seconds=1)
REMEMBERED = 4096  # places of files that are not looked for anew, some 400 bytes each


def check_offload(settings: EdgeSettings, stores: list[ObjectStore]) -> None:
    """Do nothing if the stores can be sent from as the operator wants.

    Raises:
        SettingsError: They cannot.
    """
    local = all(isinstance(store, HasLocalPath) for store in stores)
    if settings.edge_offload == "accel" and not local:
        raise SettingsError("EDGE_OFFLOAD: accel needs objects in files of this machine", names=("EDGE_OFFLOAD",))
    if settings.edge_offload == "redirect" and (local or not all(isinstance(s, SignsDownloads) for s in stores)):
        raise SettingsError("EDGE_OFFLOAD: redirect needs a store with a server of its own", names=("EDGE_OFFLOAD",))


class Offload:
    """Answers with where an object is to be had, for nginx or for the client.

    Playlists are not for this: a player would take the URIs in them as relative to where it was redirected.

    Args:
        settings: Say who sends.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._by = settings.edge_offload
        self._prefix = settings.edge_accel_prefix
        self._root = settings.data_dir.absolute() / "objects"
        self._seconds = settings.edge_cache_seconds
        self._places = lru_cache(maxsize=REMEMBERED)(self._find_place)

    def answer(self, request: Request, store: ObjectStore, key: str, headers: Headers, *, left: timedelta) -> Answer:
        """Return the answer to a request.

        Args:
            request: What is answered.
            store: Holds the object.
            key: The object.
            headers: Of the answer.
            left: How long the grant is good.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key, where that can be told.
        """
        request.outcome = self._by
        said = [header for header in headers if header[0] != b"etag"]
        said.append((b"content-length", b"0"))
        if self._by == "accel":
            now = monotonic()
            found = self._places(store, key, now // self._seconds if self._seconds else now)  # type: ignore[arg-type]
            return Answer(HTTPStatus.OK, [*said, *found])
        if not isinstance(store, SignsDownloads):
            raise ObjectNotFoundError(key)
        signed = store.sign_get(key, expires_in=max(LEAST, min(left, REDIRECT)))
        said = [header for header in said if header[0] != b"cache-control"]
        said += [(b"location", signed.url.encode("ascii")), (b"cache-control", b"private, no-store")]
        return Answer(HTTPStatus.FOUND, said)

    def _find_place(self, store: ObjectStore, key: str, _period: float) -> Headers:
        """Return what nginx is told of an object; it is good for the period."""
        if not isinstance(store, HasLocalPath):
            raise ObjectNotFoundError(key)
        # Two small files are looked at, as nginx looks at one; a thread would cost more than they.
        path = store.local_path(key).relative_to(self._root)
        place = f"{self._prefix}{quote(str(path))}".encode("ascii")
        return [*describe(store.head(key)), (b"x-accel-redirect", place)]
