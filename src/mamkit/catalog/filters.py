"""Which assets are meant: one model for what somebody looks for now and for what a collection shows for good."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Literal, Self, get_args
from uuid import UUID

from mamkit.catalog.library_errors import InvalidQueryError
from mamkit.catalog.models import AssetKind, AssetStatus
from mamkit.catalog.words import words_of

__all__ = ["MAX_SOUGHT", "MAX_TAGS", "AssetFilter", "Sort"]

Sort = Literal["newest", "oldest", "title", "-title", "longest", "shortest"]

MAX_SOUGHT = 20
"""Most words that are looked for at once."""

MAX_TAGS = 20
"""Most tags that are asked for at once."""

_MAX_TEXT = 1000  # characters, of which `MAX_SOUGHT` words have room
_MAX_TAG = 64  # characters, as a tag's column
_MAX_CODEC = 32  # the same of a codec
_MAX_SECONDS = 1e9  # some thirty years
_MAX_PIXELS = 1 << 24  # of a side; no codec has more
_FIRST_YEAR, _LAST_YEAR = 1, 9999  # of Python's calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFilter:
    """Which assets are looked for, and in which order. What is None or empty bounds nothing.

    Raises:
        InvalidQueryError: A value is out of bounds, a time has no time zone, or the text holds no word or too many.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "use_attribute_docstrings": True}

    text: str = ""
    """Words that must all begin a word of title, description, tags, comments, file name or codec."""
    kind: AssetKind | None = None
    codec: str | None = None
    """FFmpeg's name."""
    status: AssetStatus | None = None
    owner_id: UUID | None = None
    tags: frozenset[str] = frozenset()
    """The asset has all of them."""
    min_duration: float | None = None
    """Seconds, as `max_duration`; both are included."""
    max_duration: float | None = None
    min_height: int | None = None
    """Pixels, as `max_height`; both are included."""
    max_height: int | None = None
    created_from: datetime | None = None
    """Included."""
    created_before: datetime | None = None
    """Excluded."""
    sort: Sort = "newest"

    def __post_init__(self) -> None:
        self._check_texts()
        for moment in (self.created_from, self.created_before):
            if moment is not None and moment.utcoffset() is None:
                raise InvalidQueryError("a time has no time zone; end it with Z or an offset")
            if moment is not None and not _FIRST_YEAR < moment.year < _LAST_YEAR:
                # Its offset could lead out of what a datetime holds.
                raise InvalidQueryError(f"a time lies out of bounds: the year {moment.year}")
        for seconds in (self.min_duration, self.max_duration):
            if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= _MAX_SECONDS):
                raise InvalidQueryError(f"a duration has 0 to {_MAX_SECONDS:.0f} seconds")
        for pixels in (self.min_height, self.max_height):
            if pixels is not None and not 0 <= pixels <= _MAX_PIXELS:
                raise InvalidQueryError(f"a height has 0 to {_MAX_PIXELS} pixels")

    def _check_texts(self) -> None:
        words = words_of([self.text])
        if len(words) > MAX_SOUGHT:
            raise InvalidQueryError(f"{len(words)} words are looked for, of at most {MAX_SOUGHT}")
        if self.text.strip() and not words:
            raise InvalidQueryError("the text holds no letter and no digit")
        if len(self.text) > _MAX_TEXT or len(self.codec or "") > _MAX_CODEC:
            raise InvalidQueryError("the text or the name of the codec is too long")
        if len(self.tags) > MAX_TAGS or any(len(tag) > _MAX_TAG for tag in self.tags):
            raise InvalidQueryError(f"at most {MAX_TAGS} tags of {_MAX_TAG} characters can be asked for")
        for text in (self.text, self.codec or "", *self.tags):
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise InvalidQueryError("a text holds what no database keeps: NUL, or half a surrogate pair")

    def as_json(self) -> dict[str, Any]:
        """Return what bounds anything, as JSON values that `of_json` takes."""
        found = {}
        for field in fields(AssetFilter):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = _plain(value)
        return found

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the filter that `as_json` wrote.

        Raises:
            InvalidQueryError: It was written by a later version that filters by more, or was changed since.
        """
        known = {field.name for field in fields(cls)}
        fits = found.keys() <= known and all(
            found.get(name, choices[0]) in choices for name, choices in _CHOICES.items()
        )
        try:
            values = {name: _MAKE.get(name, _same)(value) for name, value in found.items()}
        except (TypeError, ValueError, AttributeError):
            fits = False
        if not fits:
            raise InvalidQueryError("the saved filter cannot be understood; save it anew")
        return cls(**values)


def _same(value: Any) -> Any:
    return value


_MAKE: Mapping[str, Any] = {
    "owner_id": UUID,
    "tags": frozenset,
    "created_from": datetime.fromisoformat,
    "created_before": datetime.fromisoformat,
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "kind": get_args(AssetKind),
    "status": get_args(AssetStatus),
    "sort": get_args(Sort),
}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
