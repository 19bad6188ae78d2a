"""What a store says about objects and requests: frozen values, sizes in bytes, times aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mamkit.storage.errors import InvalidRangeError, RangeNotSatisfiableError, UnboundedUploadError, UploadRejectedError

__all__ = [
    "ByteRange",
    "Expected",
    "ExpiryRule",
    "ObjectInfo",
    "OriginRule",
    "PartsPlan",
    "SignedForm",
    "SignedRequest",
    "UnfinishedUpload",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """The facts of one stored object."""

    key: str
    size: int
    etag: str
    """Opaque, without quotes; changes whenever the bytes do."""
    modified_at: datetime
    content_type: str = "application/octet-stream"
    sha256: str | None = None
    """Lower-case hexadecimal digest, where the store computed or verified it itself; never a client's claim."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A run of bytes, `start` included and `stop` not; `stop=None` means to the end.

    From 0 to 0 is the whole of an empty object; there is no other empty range.

    Raises:
        InvalidRangeError: `start` is negative, or `stop` is not larger than `start`.
    """

    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        start, stop = self.start, self.stop
        if type(start) is not int or start < 0:
            raise InvalidRangeError(start, stop)
        if stop is not None and (type(stop) is not int or not (start < stop or start == stop == 0)):
            raise InvalidRangeError(start, stop)

    def __str__(self) -> str:
        return f"{self.start}:{'' if self.stop is None else self.stop}"

    def resolve(self, size: int) -> "ByteRange":
        """Return the part of this range that an object of `size` bytes has: `stop` is known, and at most `size`.

        Raises:
            RangeNotSatisfiableError: It has none.
        """
        stop = size if self.stop is None else min(self.stop, size)
        if self.start >= stop:
            raise RangeNotSatisfiableError(str(self), size)
        return ByteRange(self.start, stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the bytes of an upload must be; anything else is refused and leaves nothing under the key."""

    size: int | None = None
    sha256: str | None = None
    """Lower-case hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request that somebody without credentials may send, as it is, until it expires."""

    method: str
    url: str = field(repr=False)  # whoever reads it from a log could send it
    headers: Mapping[str, str]
    """Headers that must be sent exactly so."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedForm:
    """A form (`multipart/form-data`) that a browser may post, with the file as its last field, until it expires."""

    url: str = field(repr=False)  # whoever reads it and the fields from a log could post it
    fields: Mapping[str, str] = field(repr=False)
    """To be sent exactly so, before the file."""
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsPlan:
    """An upload in parts by somebody without credentials: how many parts there are, and how large each one is.

    Plain values, to be kept between requests as they are; it is no secret, and grants nothing.
    """

    key: str
    upload_id: str
    """The store's name of the upload; opaque."""
    size: int
    """Bytes of the whole."""
    part_size: int
    """Bytes of every part but the last."""
    content_type: str
    checksums: bool = False
    """Whether each part is signed with its SHA-256."""
    sha256: str | None = None
    """Of the whole, lower-case hexadecimal; held against it when the upload is completed, where the store can."""

    @property
    def count(self) -> int:
        """How many parts there are; they are numbered from 1."""
        return max(1, -(-self.size // self.part_size))

    def range_of(self, number: int) -> ByteRange:
        """Return which bytes of the whole a part has.

        Raises:
            InvalidRangeError: There is no part of this number.
        """
        if type(number) is not int or not 1 <= number <= self.count:
            raise InvalidRangeError(number, self.count + 1)
        start = (number - 1) * self.part_size
        return ByteRange(start, min(start + self.part_size, self.size))

    def size_of(self, number: int) -> int:
        """Return how many bytes a part has.

        Raises:
            InvalidRangeError: There is no part of this number.
        """
        start = self.range_of(number).start
        return min(start + self.part_size, self.size) - start

    def check_data(self, number: int, data: bytes | bytearray) -> None:
        """Do nothing if these are as many bytes as a part has.

        Raises:
            InvalidRangeError: There is no part of this number.
            UnboundedUploadError: The plan says that parts have checksums: those are for parts that others write.
            UploadRejectedError: They are more, or fewer.
        """
        self.check_part(number, None)
        if len(data) != self.size_of(number):
            raise UploadRejectedError("size", expected=self.size_of(number), actual=len(data), key=self.key)

    def check_part(self, number: int, sha256: str | None) -> None:
        """Do nothing if this is how a part of the plan is signed.

        Raises:
            InvalidRangeError: The plan has no part of this number.
            UnboundedUploadError: `sha256` is missing, or given, against what the plan says of all parts.
        """
        self.range_of(number)
        if self.checksums != (sha256 is not None):
            raise UnboundedUploadError(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUpload:
    """Bytes in a store that are no object, and will be none unless somebody goes on with them."""

    key: str
    """What the object was to be called, or a name of the store's own."""
    upload_id: str
    """The store's name of the upload; empty where it has none."""
    begun_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRule:
    """What a store removes by itself; times are whole days, since that is what stores count."""

    name: str
    """Tells the rule from the others of the store."""
    prefix: str = ""
    """What the keys of the objects start with; empty for all."""
    expire_after: timedelta | None = None
    """Age at which an object goes; None keeps it."""
    abort_parts_after: timedelta | None = None
    """Age at which an upload in parts goes that nobody has completed; None keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRule:
    """What pages of other web sites may ask of a store (CORS, the Fetch standard section 3.2)."""

    origins: tuple[str, ...]
    """Web sites, as `https://example.com`; `*` is every one."""
    methods: tuple[str, ...]
    exposed: tuple[str, ...] = ("ETag", "Content-Length", "Content-Range", "Accept-Ranges")
    """Headers of the answer that the page may read."""
    max_age: timedelta = timedelta(days=1)
    """How long a browser need not ask again."""
