"""What can go wrong in workspaces and in what people do with assets there."""

from typing import ClassVar
from uuid import UUID

from mamkit.catalog.errors import CatalogError, NotFoundError

__all__ = [
    "CollectionNotFoundError",
    "CommentNotFoundError",
    "InvalidCollectionError",
    "InvalidCommentError",
    "InvalidQueryError",
    "ItemNotFoundError",
    "LastOwnerError",
    "PersonalWorkspaceError",
    "ShareLinkNotFoundError",
    "TrashedError",
    "WorkspaceInUseError",
    "WorkspaceNotFoundError",
]


class CommentNotFoundError(NotFoundError):
    """There is no such comment, or whoever asks sees nothing of it."""

    code = "catalog.comment_not_found"
    kind = "comment"


class InvalidCommentError(CatalogError, ValueError):
    """A comment cannot be kept; the message says why."""

    code = "catalog.invalid_comment"


class WorkspaceNotFoundError(NotFoundError):
    """There is no such workspace, or whoever asks is no member of it."""

    code = "catalog.workspace_not_found"
    kind = "workspace"


class _WorkspaceError(CatalogError):
    """Base of what cannot be done to a workspace.

    Attributes:
        workspace_id: The workspace.
    """

    code = "catalog.workspace"
    problem: ClassVar[str]

    def __init__(self, workspace_id: UUID) -> None:
        super().__init__(f"workspace {workspace_id} {self.problem}")
        self.workspace_id = workspace_id


class PersonalWorkspaceError(_WorkspaceError):
    """A personal workspace was to be deleted or to get other members."""

    code = "catalog.personal_workspace"
    problem = "is somebody's own: it stays and has no other members; make a shared one"


class WorkspaceInUseError(_WorkspaceError):
    """A workspace was to be deleted that holds assets."""

    code = "catalog.workspace_in_use"
    problem = "holds assets, in its trash perhaps; purge them first"


class LastOwnerError(_WorkspaceError):
    """A workspace would be left without an owner."""

    code = "catalog.last_owner"
    problem = "needs an owner; make somebody else one first"


class InvalidQueryError(CatalogError, ValueError):
    """Assets cannot be looked for in this way; the message says why."""

    code = "catalog.invalid_query"


class TrashedError(CatalogError):
    """An asset is in the trash, or not there, or its objects are being removed already.

    Attributes:
        asset_id: The asset.
    """

    code = "catalog.trashed"

    def __init__(self, asset_id: UUID, problem: str) -> None:
        super().__init__(f"asset {asset_id} {problem}")
        self.asset_id = asset_id


class CollectionNotFoundError(NotFoundError):
    """There is no such collection, or whoever asks sees nothing of it."""

    code = "catalog.collection_not_found"
    kind = "collection"


class ItemNotFoundError(NotFoundError):
    """What something was to be put after does not lie there."""

    code = "catalog.item_not_found"
    kind = "neighbour to be put after:"


class InvalidCollectionError(CatalogError):
    """Something cannot be done to a collection as it is; the message says why."""

    code = "catalog.invalid_collection"


class ShareLinkNotFoundError(NotFoundError):
    """There is no such share link, or whoever asks sees nothing of it."""

    code = "catalog.share_link_not_found"
    kind = "share link"
