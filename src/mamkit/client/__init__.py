"""A client of a mamkit API: upload, list, follow, play. The extra `client` brings it.

    with Client("https://video.example.com/api-host", token="mka1_…") as mam:
        version = mam.upload(Path("film.mp4"), title="A film", progress=print)
        mam.wait(version.id)
        print(mam.playback_url(version.id).url)

`AsyncClient` does the same for asyncio. Both run the same steps, which are written once.
"""

from mamkit.client.errors import (
    ApiError,
    ApiUnavailableError,
    ClientError,
    FileChangedError,
    NotUnderstoodError,
    UploadBrokenError,
)
from mamkit.client.models import Asset, Import, PlaybackUrl, Preview, User, Version
from mamkit.client.steps import Progress
from mamkit.client.uploads import UploadState

__all__ = [
    "ApiError",
    "ApiUnavailableError",
    "Asset",
    "AsyncClient",
    "Client",
    "ClientError",
    "FileChangedError",
    "Import",
    "NotUnderstoodError",
    "PlaybackUrl",
    "Preview",
    "Progress",
    "UploadBrokenError",
    "UploadState",
    "User",
    "Version",
]

from mamkit.client.asynchronous import AsyncClient
from mamkit.client.synchronous import Client
