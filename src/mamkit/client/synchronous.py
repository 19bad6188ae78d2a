"""The client for programs without an event loop."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

from mamkit.client import operations
from mamkit.client.models import Asset, Import, PlaybackUrl, Preview, User, Version
from mamkit.client.steps import Answer, Call, Credentials, Document, FileRange, Lost, Pause, Progress, Run, Steps
from mamkit.client.uploads import upload
from mamkit.errors import MissingExtraError

try:
    import httpx
except ImportError as error:
    raise MissingExtraError("client", package="httpx") from error

__all__ = ["BLOCK", "TIMEOUT", "Client", "document", "patience"]

BLOCK = 1 << 18  # bytes read and sent at once
TIMEOUT = 60.0  # seconds without a sign of life
CONNECT = 10.0  # seconds: a server that is there takes a connection at once, however much it has to do for it then

Result = TypeVar("Result")


class Client:
    """Talks to one API as one user; close it, or use it as a context manager.

    Requests that get no answer, or one that says to come back, are sent again for half a minute.

    Args:
        base_url: Of the API, e.g. `https://video.example.com`.
        token: An API key or an access token; `log_in` does without.
        timeout: Seconds without a sign of life after which a request counts as lost.
    """

    def __init__(self, base_url: str, *, token: str = "", timeout: float = TIMEOUT) -> None:
        self._credentials = Credentials(base_url, token)
        self._http = httpx.Client()
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"Client({self._credentials.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def log_in(self, email: str, password: str) -> None:
        """Log in; the session is renewed while the client is used.

        Raises:
            ApiError: The API refused. So for every method: its status and code are attributes.
            ApiUnavailableError: There was no answer. So for every method.
        """
        self._run(operations.log_in(self._credentials, email, password))

    def me(self) -> User:
        """Return who this client is."""
        return self._run(operations.me(self._credentials))

    def assets(self, *, mine: bool = False, page_size: int = 100) -> Iterator[Asset]:
        """Yield assets, newest first, asking for a page at a time.

        Args:
            mine: Those of this user alone.
            page_size: Assets in one answer, up to 100.
        """
        after = None
        while True:
            items, after = self._run(operations.assets_page(self._credentials, after, mine=mine, limit=page_size))
            yield from items
            if after is None:
                return

    def asset(self, asset_id: UUID) -> Asset:
        """Return an asset."""
        return self._run(operations.get_asset(self._credentials, asset_id))

    def versions(self, asset_id: UUID) -> list[Version]:
        """Return the masters of an asset, newest first."""
        return self._run(operations.versions(self._credentials, asset_id))

    def duplicates(self, sha256: str) -> list[Version]:
        """Return the versions of this user's assets that have just these bytes, the oldest first.

        Args:
            sha256: Of the bytes, lower-case hexadecimal.
        """
        return self._run(operations.duplicates(self._credentials, sha256))

    def upload(
        self,
        path: Path,
        *,
        title: str = "",
        asset_id: UUID | None = None,
        state: Path | None = None,
        progress: Progress | None = None,
    ) -> Version:
        """Upload a file and make it a master, whose preview is then built.

        Args:
            path: The file; it must not change meanwhile.
            title: Of a new asset; the file's name if it is empty.
            asset_id: An asset of which it is a new version; None makes a new one.
            state: File that keeps how far a large upload is. If it is there and is about the same bytes, the upload is
                taken up again, and only what is missing is sent. It is removed at the end.
            progress: Is called with the bytes that are sent and the bytes of the file.

        Raises:
            FileChangedError: The file changed meanwhile.
            UploadBrokenError: Parts were lost; with `state`, trying again sends only them.
            OSError: The file cannot be read.
        """
        steps = upload(
            self._credentials, path, title=title or path.name, asset_id=asset_id, state=state, progress=progress
        )
        return self._run(steps)

    def import_url(
        self,
        url: str,
        *,
        title: str = "",
        asset_id: UUID | None = None,
        workspace_id: UUID | None = None,
        skip_known: bool = False,
    ) -> Import:
        """Let the service fetch what is at a URL, and make it a master; it is under way when this returns.

        Args:
            url: http or https, at a public address; the service keeps it sealed.
            title: Of a new asset; the file's name if it is empty.
            asset_id: An asset of which it is a new version; None makes a new one.
            workspace_id: Where a new asset belongs; None is this user's personal workspace.
            skip_known: Whether bytes that are in an asset of this user already make no new version.
        """
        return self._run(
            operations.import_url(
                self._credentials, url, title=title, asset_id=asset_id, workspace_id=workspace_id,
                skip_known=skip_known,
            )
        )  # fmt: skip

    def get_import(self, import_id: UUID) -> Import:
        """Return how far an import is."""
        return self._run(operations.get_import(self._credentials, import_id))

    def cancel_import(self, import_id: UUID) -> Import:
        """Give an import up; refused once its bytes are being made a version."""
        return self._run(operations.cancel_import(self._credentials, import_id))

    def wait_for_import(self, import_id: UUID, *, progress: Progress | None = None) -> Import:
        """Return an import once it is done, has failed or was cancelled, however long that takes.

        Args:
            import_id: Which.
            progress: Is called with the bytes that are here and the bytes of the whole, where these are known.
        """
        return self._run(operations.wait_for_import(self._credentials, import_id, progress))

    def preview(self, version_id: UUID) -> Preview:
        """Return how far the preview of a version is."""
        return self._run(operations.get_preview(self._credentials, version_id))

    def wait(self, version_id: UUID, *, progress: Callable[[Preview], object] | None = None) -> Preview:
        """Return the preview of a version once it is ready or has failed, however long that takes.

        Args:
            version_id: Whose preview.
            progress: Is called with how far it is, each second at first, and each five seconds after two minutes.
        """
        return self._run(operations.wait(self._credentials, version_id, progress))

    def playback_url(self, version_id: UUID, *, lifetime_seconds: int | None = None) -> PlaybackUrl:
        """Return where to play the preview of a version.

        Args:
            version_id: Its preview is playable.
            lifetime_seconds: How long; None is the service's longest.
        """
        return self._run(operations.sign(self._credentials, version_id, lifetime_seconds))

    def _run(self, steps: Steps[Result]) -> Result:
        """Do what the steps want done."""
        found: Any = None
        try:
            while True:
                found = self._do(steps.send(found))
        except StopIteration as end:
            result: Result = end.value
            return result

    def _do(self, step: Call | Pause | Run) -> Any:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        if isinstance(step, Run):
            return step.do()
        content = None if step.body is None else _blocks(step.body)
        try:
            answer = self._http.request(
                step.method, step.url, headers=dict(step.headers), params=dict(step.params) or None, json=step.json,
                content=content, timeout=patience(self._timeout, step),
            )  # fmt: skip
        except httpx.TransportError as error:
            return Lost(reason=error)
        return document(answer)


def _blocks(body: FileRange) -> Iterator[bytes]:
    sent = 0
    with body.path.open("rb") as file:
        file.seek(body.start)
        while block := file.read(min(BLOCK, body.size - sent)):
            yield block
            sent += len(block)
            body.sent(sent)


def patience(seconds: float, call: Call) -> httpx.Timeout:
    """Return how long to wait for an answer, for a client that waits so many seconds for a usual one."""
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT), read=seconds + call.patience)


def document(answer: httpx.Response) -> Answer:
    """Return an answer as steps take it."""
    try:
        found = answer.json(object_hook=Document) if answer.content else None
    except ValueError:  # a store answers in XML
        found = None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status=answer.status_code, headers=headers, document=found)
