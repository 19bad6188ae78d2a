"""What can go wrong between a file and its segments.

Media from strangers is opened in a child process, so every error here can cross a process border: an instance is made
of a message and of keyword arguments that are JSON values, and it keeps each argument in the attribute of that name.
"""

from mamkit.errors import MamkitError

__all__ = [
    "ChildCrashedError",
    "ChildMemoryError",
    "ChildProtocolError",
    "ChildTimedOutError",
    "ContainmentError",
    "DestinationNotEmptyError",
    "EmptyFileError",
    "EncodeError",
    "MediaEncryptedError",
    "MediaError",
    "MediaTooLargeError",
    "MediaUnreadableError",
    "MediaUnsupportedError",
    "NoMediaError",
    "SourceUnavailableError",
    "StillImageError",
    "TranscodeError",
    "TranscodeInterruptedError",
]


class TranscodeError(MamkitError):
    """Base of everything that probing, planning and encoding raise on purpose."""

    code = "transcode.error"


class MediaError(TranscodeError):
    """The file is at fault: trying again would end the same way.

    Attributes:
        detail: What FFmpeg said about it last; empty when it said nothing.
    """

    code = "transcode.media"

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class NoMediaError(MediaError):
    """The file is not media, or has neither picture nor sound in it."""

    code = "transcode.no_media"


class EmptyFileError(NoMediaError):
    """The file has no bytes."""

    code = "transcode.empty_file"


class MediaUnreadableError(MediaError):
    """The file is media, but cut short or broken to the point that nothing of it can be decoded."""

    code = "transcode.media_unreadable"


class MediaEncryptedError(MediaError):
    """Picture and sound are encrypted (ISO/IEC 23001-7, or a container's own way)."""

    code = "transcode.media_encrypted"


class MediaUnsupportedError(MediaError):
    """The file is of a kind that is not accepted: a still image, several Oggs in one, an unknown codec, one pixel."""

    code = "transcode.media_unsupported"


class StillImageError(MediaUnsupportedError):
    """The file is a still image: there is nothing to play, and `make_thumbnails` shows it.

    Attributes:
        format: `jpeg`, `png`, `webp`, `gif`, `bmp`, `tiff`, `avif`, `heic`; empty where it is none that can be read.
        width: Pixels, as the picture is shown; 0 where nobody has looked.
        height: Pixels, likewise.
    """

    code = "transcode.still_image"

    def __init__(
        self,
        message: str,
        *,
        format: str = "",  # noqa: A002 # the name of the attribute, as for every error that crosses the process border
        width: int = 0,
        height: int = 0,
        detail: str = "",
    ) -> None:
        super().__init__(message, detail=detail)
        self.format = format
        self.width = width
        self.height = height


class MediaTooLargeError(MediaError):
    """The file asks for more than `Limits` allow.

    Attributes:
        quantity: What is too large, e.g. `pixels`, `seconds`, `streams`.
        value: How much of it the file has.
        limit: How much is allowed.
    """

    code = "transcode.media_too_large"

    def __init__(self, message: str, *, quantity: str, value: float, limit: float, detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.quantity = quantity
        self.value = value
        self.limit = limit


class SourceUnavailableError(TranscodeError):
    """There is no regular file under the source's path, or it may not be read."""

    code = "transcode.source_unavailable"


class EncodeError(TranscodeError):
    """An encoder could not be opened, or failed.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        detail: What FFmpeg said about it last; empty when it said nothing.
    """

    code = "transcode.encode"

    def __init__(self, message: str, *, encoder: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.encoder = encoder
        self.detail = detail


class TranscodeInterruptedError(TranscodeError):
    """The caller asked for the work to stop, and it stopped."""

    code = "transcode.interrupted"


class ContainmentError(TranscodeError):
    """The child process did not do its work, and did not say why in words of its own.

    Attributes:
        stderr: The last lines that it wrote to its standard error; empty when it wrote nothing.
    """

    code = "transcode.containment"

    def __init__(self, message: str, *, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


class ChildCrashedError(ContainmentError):
    """The child process ended by itself before its work was done.

    Attributes:
        exit_status: Its exit status; None when a signal ended it.
        signal: Name of that signal, e.g. `SIGSEGV`; None when it exited.
    """

    code = "transcode.child_crashed"

    def __init__(
        self, message: str, *, exit_status: int | None = None, signal: str | None = None, stderr: str = ""
    ) -> None:
        super().__init__(message, stderr=stderr)
        self.exit_status = exit_status
        self.signal = signal


class ChildTimedOutError(ContainmentError):
    """The child process made no progress for too long, or took too long in all, and was killed.

    Attributes:
        seconds: The time that it was allowed.
    """

    code = "transcode.child_timed_out"

    def __init__(self, message: str, *, seconds: float, stderr: str = "") -> None:
        super().__init__(message, stderr=stderr)
        self.seconds = seconds


class ChildMemoryError(ContainmentError):
    """The child process asked for more memory than it was allowed.

    Attributes:
        limit: Bytes that it was allowed.
    """

    code = "transcode.child_memory"

    def __init__(self, message: str, *, limit: int, stderr: str = "") -> None:
        super().__init__(message, stderr=stderr)
        self.limit = limit


class ChildProtocolError(ContainmentError):
    """The child process said something that it must not: bytes of no rendition of the plan, or more than it may."""

    code = "transcode.child_protocol"


class DestinationNotEmptyError(TranscodeError, FileExistsError):
    """The folder that a film was to be written to has something in it."""

    code = "transcode.destination_not_empty"
