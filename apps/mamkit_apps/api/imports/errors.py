"""Why something cannot be brought in. No message holds an address or any of a URL but its host."""

from mamkit.errors import MamkitError

__all__ = [
    "ImportBrokenError",
    "ImportCrashedError",
    "ImportTimeError",
    "SourceChangedError",
    "SourceRefusedError",
    "SourceTooLargeError",
    "SourceUnavailableError",
]


class SourceUnavailableError(MamkitError):
    """The source does not give its bytes now, and may later.

    Attributes:
        retry_after: Seconds for which it asks to be left alone; 0 if it does not.
    """

    code = "apps.import_unavailable"

    def __init__(self, reason: str, *, retry_after: float = 0.0) -> None:
        super().__init__(f"the source gives nothing now: {reason}")
        self.retry_after = retry_after


class SourceRefusedError(MamkitError):
    """What the source gives is not to be brought in, or it gives nothing; trying again would be no use."""

    code = "apps.import_refused"


class SourceTooLargeError(MamkitError):
    """The source gives more bytes than may be uploaded."""

    code = "apps.import_too_large"

    def __init__(self, most: int) -> None:
        super().__init__(f"it has more than {most} bytes, the most that can be uploaded")


class SourceChangedError(MamkitError):
    """What is at the source is not what it was when it was found."""

    code = "apps.import_changed"

    def __init__(self) -> None:
        super().__init__("it has changed, or is gone, since it was found")


class ImportTimeError(MamkitError):
    """An import has taken longer than it may."""

    code = "apps.import_time"

    def __init__(self, hours: int) -> None:
        super().__init__(f"it was not done within {hours} hours")


class ImportCrashedError(MamkitError):
    """Processes ended again and again while they worked on an import."""

    code = "apps.import_crashed"

    def __init__(self) -> None:
        super().__init__("processes ended again and again while they worked on it")


class ImportBrokenError(MamkitError):
    """An import has met a defect of ours; the log says which."""

    code = "apps.import_broken"

    def __init__(self) -> None:
        super().__init__("the server failed; its log says why")
