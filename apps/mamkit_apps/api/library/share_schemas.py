"""The bodies of requests and answers about share links, and about what was done by them."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, SecretStr, model_validator

from mamkit.catalog import ShareLink
from mamkit.catalog import share_links as links
from mamkit_apps.api.bodies import Body, SignedUrl

__all__ = [
    "NewShareLink",
    "ShareLinkChange",
    "ShareLinkMade",
    "ShareLinkPage",
    "ShareLinkView",
    "ShareUsePage",
    "ShareUseView",
]

Name = Annotated[str, Field(max_length=200)]
Rights = Annotated[list[links.Right], Field(max_length=len(links.RIGHTS))]
Password = Annotated[SecretStr, Field(min_length=4, max_length=200)]
"""Short ones are let be: they are read out on the telephone, and guesses are counted."""


class NewShareLink(Body):
    """A link that is to be made, to exactly one of an asset, a version of one, and a collection."""

    asset_id: UUID | None = None
    """Whichever version of it plays."""
    version_id: UUID | None = None
    collection_id: UUID | None = None
    """What it shows at any time; not what lies in others within it."""
    name: Name = ""
    rights: Rights = Field(default_factory=list)
    """Beside looking."""
    password: Password | None = None
    expires_at: AwareDatetime | None = None
    """Null: until it is revoked."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.asset_id, self.version_id, self.collection_id)) != 1:
            raise ValueError("give exactly one of asset_id, version_id and collection_id")
        return self


class ShareLinkChange(Body):
    """What a link is to be instead; what is missing stays."""

    name: Name | None = None
    rights: Rights | None = None
    password: Password | None = None
    """Another one; who has given the old one is asked again."""
    without_password: bool = False
    expires_at: AwareDatetime | None = None
    without_expiry: bool = False


class ShareLinkView(Body):
    """A share link."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    """Who made it."""
    asset_id: UUID | None
    version_id: UUID | None
    """The only one that is shown; null: the one that the asset plays."""
    collection_id: UUID | None
    name: str
    rights: tuple[str, ...]
    """Beside looking: `comment`, `download`."""
    has_password: bool
    expires_at: datetime | None
    revoked_at: datetime | None
    revision: int
    created_at: datetime

    @classmethod
    def of(cls, row: ShareLink) -> Self:
        """Return the view of a row."""
        return cls(
            id=row.id,
            workspace_id=row.workspace_id,
            user_id=row.user_id,
            asset_id=row.asset_id,
            version_id=row.version_id,
            collection_id=row.collection_id,
            name=row.name,
            rights=tuple(row.rights),
            has_password=row.password_hash is not None,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            revision=row.revision,
            created_at=row.created_at,
        )


class ShareLinkMade(Body):
    """A share link that was just made."""

    token: str = Field(repr=False)
    """Shown this once."""
    url: SignedUrl
    """To be sent to whoever may look; the token stands behind `#`, which no browser sends to a server."""
    record: ShareLinkView


class ShareLinkPage(Body):
    """Some of the links of a workspace, newest first."""

    items: tuple[ShareLinkView, ...]
    next: UUID | None
    """To be sent as `after` for the next page; null on the last."""


class ShareUseView(Body):
    """Something that somebody did by a link."""

    id: UUID
    action: str
    """`looked`, `listed`, `read_comments`, `commented`, `played`, `downloaded`, `unlocked`, `refused`."""
    address: str
    asset_id: UUID | None
    created_at: datetime


class ShareUsePage(Body):
    """Some of what was done by a link, newest first."""

    items: tuple[ShareUseView, ...]
    next: UUID | None
    """To be sent as `after` for the next page; null on the last."""
