"""Letting somebody else send the bytes: nginx in front of the edge, or the store itself."""

from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote

from mamkit.storage import HasLocalPath, ObjectNotFoundError, ObjectStore, SignsDownloads
from mamkit_apps.edge.exchange import Exchange, Headers
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import SettingsError

__all__ = ["check_offload", "hand_over"]

REDIRECT = timedelta(seconds=60)  # a redirect is followed at once
LEAST = timedelta(seconds=1)


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


async def hand_over(
    exchange: Exchange, settings: EdgeSettings, store: ObjectStore, key: str, headers: Headers, *, left: timedelta
) -> None:
    """Answer with where the object is to be had, for nginx or for the client.

    Playlists are not for this: a player would take the URIs in them as relative to where it was redirected.

    Args:
        exchange: The request.
        settings: Say who sends.
        store: Holds the object.
        key: The object.
        headers: Of the answer.
        left: How long the grant is good.

    Raises:
        ObjectNotFoundError: Nothing is stored under the key, where that can be told.
    """
    exchange.outcome = settings.edge_offload
    said: Headers = [header for header in headers if header[0] not in {b"etag", b"cache-control"}]
    if settings.edge_offload == "accel" and isinstance(store, HasLocalPath):
        # One look at the folder, as nginx takes one; a thread would cost more than it.
        path = store.local_path(key).relative_to(settings.data_dir.absolute() / "objects")
        said += [header for header in headers if header[0] == b"cache-control"]
        said.append((b"x-accel-redirect", f"{settings.edge_accel_prefix}{quote(str(path))}".encode("ascii")))
        await exchange.answer(HTTPStatus.OK, said)
        return
    if not isinstance(store, SignsDownloads):
        raise ObjectNotFoundError(key)
    request = store.sign_get(key, expires_in=max(LEAST, min(left, REDIRECT)))
    said += [(b"location", request.url.encode("ascii")), (b"cache-control", b"private, no-store")]
    await exchange.answer(HTTPStatus.FOUND, said)
