"""What can go wrong between a client and an API."""

from mamkit.errors import MamkitError

__all__ = [
    "ApiError",
    "ApiUnavailableError",
    "ClientError",
    "FileChangedError",
    "NotUnderstoodError",
    "UploadBrokenError",
]


class ClientError(MamkitError):
    """Base of the errors of `mamkit.client`."""

    code = "client.error"


class ApiError(ClientError):
    """The API, or the store that it sent us to, refused a request.

    Attributes:
        status: HTTP status.
        problem: Stable code of the problem document (RFC 9457); empty if there was none.
        request_id: To be found in the API's log; empty if there was none.
    """

    code = "client.refused"

    def __init__(self, what: str, *, status: int, detail: str, problem: str = "", request_id: str = "") -> None:
        where = f" (request {request_id} in its log)" if status >= 500 and request_id else ""
        super().__init__(f"{what} was answered with {status}: {detail}{where}")
        self.status = status
        self.problem = problem
        self.request_id = request_id


class ApiUnavailableError(ClientError):
    """There was no answer, after several tries; the last error is chained, and the message says what it was."""

    code = "client.unavailable"

    def __init__(self, what: str, *, tries: int, reason: Exception) -> None:
        why = str(reason) or type(reason).__name__
        super().__init__(f"{what} had no answer in {tries} tries; see that the service can be reached: {why}")
        self.tries = tries


class NotUnderstoodError(ClientError):
    """What answered is no API of mamkit, or one of a version that this client cannot talk to."""

    code = "client.not_understood"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; see that its URL is that of the API, and that both are of one version")


class FileChangedError(ClientError):
    """A file changed while it was uploaded."""

    code = "client.file_changed"

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} changed while it was uploaded; upload it again")
        self.path = path


class UploadBrokenError(ClientError):
    """A part of an upload did not arrive, although the store took it."""

    code = "client.upload_broken"

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} parts of the upload did not arrive; try again, and only they are sent")
        self.missing = missing
