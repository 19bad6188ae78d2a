"""The bodies of requests and answers about assets, uploads, previews and playback."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from mamkit.catalog import Asset, Page, Version
from mamkit.catalog.models import AssetKind, AssetStatus, PreviewStatus
from mamkit.previews import PreviewState
from mamkit_apps.api.bodies import Body, SignedUrl

__all__ = [
    "AssetChange",
    "AssetPage",
    "AssetView",
    "FacetsView",
    "Lifetime",
    "NewAsset",
    "PlaybackUrl",
    "PlayingChange",
    "PresignRequest",
    "PresignedView",
    "PreviewRequest",
    "PreviewView",
    "PromoteRequest",
    "RebuildView",
    "SignRequest",
    "VersionView",
]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Tag = Annotated[str, Field(min_length=1, max_length=64)]
Value = Annotated[str, Field(max_length=1000)] | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None
Fields = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[Value, Field(union_mode="left_to_right")]],
    Field(max_length=100),
]
FileName = Annotated[str, Field(min_length=1, max_length=255)]


class PresignRequest(Body):
    """A file that somebody wants to upload."""

    filename: FileName
    size: Annotated[int, Field(gt=0)]
    """Bytes."""
    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=127)] = "application/octet-stream"
    sha256: Sha256 | None = None
    workspace_id: UUID | None = None
    """Where the asset will belong; null: the personal one of whoever asks."""


class PresignedView(Body):
    """Where and how to upload it: the request to be sent, with the file as its body and without a login."""

    asset_id: UUID
    staging_key: str
    method: str
    url: SignedUrl
    headers: dict[str, str]
    """To be sent as they stand."""
    expires_at: datetime
    """When the request must have begun."""


class NewAsset(Body):
    """The asset that an upload is to become."""

    asset_id: UUID
    """As presigned."""
    filename: FileName
    """As presigned."""
    title: Annotated[str, Field(min_length=1, max_length=500)]
    workspace_id: UUID | None = None
    """As presigned."""


class AssetChange(Body):
    """What is to be said about an asset; what is missing or null stays."""

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    fields: Fields | None = None
    """Names and values of your own; they replace all that there were."""
    tags: Annotated[list[Tag], Field(max_length=100)] | None = None
    """They replace all that there were."""


class PlayingChange(Body):
    """Which version of an asset is to play."""

    number: Annotated[int, Field(ge=1, le=(1 << 31) - 1)] | None = None
    """Null: the newest, whichever that will be."""


class AssetView(Body):
    """An asset. What is not known of the version that plays is 0 or empty."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    title: str
    description: str
    fields: dict[str, Any]
    tags: tuple[str, ...]
    kind: AssetKind
    status: AssetStatus
    duration_seconds: float
    width: int
    height: int
    codec: str
    playing_number: int | None
    """Of the version that plays, if one was chosen; null: the newest plays."""
    revision: int
    """Grows with every change that somebody makes."""
    trashed_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, asset: Asset, tags: Iterable[str] = ()) -> Self:
        """Return the view of a row."""
        return cls(
            id=asset.id,
            workspace_id=asset.workspace_id,
            user_id=asset.user_id,
            title=asset.title,
            description=asset.description,
            fields=asset.fields,
            tags=tuple(tags),
            kind=asset.kind,
            status=asset.status,
            duration_seconds=asset.duration_sec,
            width=asset.width,
            height=asset.height,
            codec=asset.codec,
            playing_number=asset.playing_number,
            revision=asset.revision,
            trashed_at=asset.trashed_at,
            created_at=asset.created_at,
            updated_at=asset.updated_at,
        )


class AssetPage(Body):
    """Some of the assets that were asked for."""

    items: tuple[AssetView, ...]
    next: str | None
    """To be sent as `after` for the next page; null on the last."""

    @classmethod
    def of(cls, page: Page, tags: Mapping[UUID, Iterable[str]]) -> Self:
        """Return the view of a page, with the tags of its assets."""
        return cls(items=tuple(AssetView.of(asset, tags[asset.id]) for asset in page.assets), next=page.next)


class FacetsView(Body):
    """How many of the assets that were asked for have which value."""

    counts: dict[str, dict[str, int]]
    """By kind, codec, status, owner and tag; the most frequent values first, at most 50 each."""
    complete: bool
    """Whether all were counted; if not, the newest 10,000 were."""


class PromoteRequest(Body):
    """An uploaded asset that is to become a master."""

    asset_id: UUID
    sha256: Sha256 | None = None


class VersionView(Body):
    """A master of an asset."""

    id: UUID
    asset_id: UUID
    number: int
    size: int
    sha256: str
    facts: dict[str, Any] | None
    """What the probe found; null until then."""
    created_at: datetime

    @classmethod
    def of(cls, version: Version) -> Self:
        """Return the view of a row."""
        return cls(
            id=version.id,
            asset_id=version.asset_id,
            number=version.number,
            size=version.size,
            sha256=version.sha256,
            facts=version.facts or None,
            created_at=version.created_at,
        )


class PreviewRequest(Body):
    """A version whose preview is to be built."""

    version_id: UUID
    rebuild: bool = False
    """Build it anew even if it is ready; what plays goes on playing until the new one is there."""


class RebuildView(Body):
    """How far a preview is that is built anew while the one before plays."""

    status: PreviewStatus
    progress: Annotated[float, Field(ge=0, le=1)]
    failure_code: str | None
    failure: str | None

    @classmethod
    def of(cls, state: PreviewState) -> Self:
        """Return the view of a state."""
        preview = state.preview
        return cls(
            status=preview.status,
            progress=state.progress,
            failure_code=preview.failure_code,
            failure=preview.failure,
        )


class PreviewView(Body):
    """How far a preview is."""

    version_id: UUID
    status: Literal["queued", "building", "playable", "ready", "failed"]
    progress: Annotated[float, Field(ge=0, le=1)]
    failure_code: str | None
    failure: str | None
    playable_at: datetime | None
    ready_at: datetime | None
    rebuild: RebuildView | None
    """How far it is built anew, while this one plays on; null when it is not."""

    @classmethod
    def of(cls, state: PreviewState) -> Self:
        """Return the view of a state."""
        preview = state.preview
        anew = preview.serving
        return cls(
            version_id=preview.version_id,
            status=state.status,
            progress=1.0 if anew else state.progress,
            failure_code=None if anew else preview.failure_code,
            failure=None if anew else preview.failure,
            playable_at=preview.playable_at,
            ready_at=preview.ready_at,
            rebuild=RebuildView.of(state) if anew else None,
        )


class Lifetime(Body):
    """How long something is to be signed for."""

    lifetime_seconds: Annotated[int, Field(gt=0)] | None = None
    """None takes the service's longest."""


class SignRequest(Lifetime):
    """A version of which somebody wants to have something."""

    version_id: UUID


class PlaybackUrl(Body):
    """Where a player finds it: `GET` without a login, any range of it."""

    url: SignedUrl
    expires_at: datetime
