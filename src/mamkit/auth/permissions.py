"""Who may do what: roles are data, and one pure function decides. What nothing allows is denied.

A thing that belongs to a workspace is judged by the roles that the principal has there; anything else, and everything
for those with a role of `EVERYWHERE`, by the roles of the account.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args
from uuid import UUID

from mamkit.auth.errors import PermissionDeniedError

__all__ = ["ACTIONS", "EVERYWHERE", "ROLES", "Action", "Decision", "Principal", "Resource", "Roles", "Share", "decide"]

Roles = Mapping[str, frozenset[str]]
"""Role name → permissions. A permission is an action, `kind.verb`, alone for the things of everybody, or followed by
`:own` for those that the principal owns."""

Action = Literal[
    "asset.create",
    "asset.delete",
    "asset.download",
    "asset.read",
    "asset.update",
    "asset.share",
    "audit.read",
    "collection.create",
    "collection.delete",
    "collection.read",
    "collection.update",
    "comment.create",
    "comment.delete",
    "comment.read",
    "comment.update",
    "job.manage",
    "preview.create",
    "preview.read",
    "user.manage",
    "user.read",
    "workspace.create",
    "workspace.delete",
    "workspace.manage",
    "workspace.read",
]
"""All that can be asked for, `kind.verb`."""

ACTIONS: frozenset[str] = frozenset(get_args(Action))
"""The same at run time; anything else is denied to everybody."""

_VIEWER = frozenset(
    {"asset.read", "collection.read", "comment.read", "preview.read", "user.read:own", "workspace.read"}
)
_REVIEWER = _VIEWER | {"comment.create", "comment.update:own", "comment.delete:own"}
_EDITOR = _REVIEWER | {
    "asset.create",
    "asset.download",
    "asset.update:own",
    "asset.delete:own",
    "asset.share:own",
    "collection.create",
    "collection.update:own",
    "collection.delete:own",
    "preview.create:own",
    "workspace.create",
}
_OWNER = ACTIONS - {"job.manage", "user.manage", "user.read"} | {"user.read:own"}

ROLES: Roles = MappingProxyType(
    {"admin": ACTIONS, "editor": _EDITOR, "owner": _OWNER, "reviewer": _REVIEWER, "viewer": _VIEWER}
)
"""The roles that come with mamkit: a viewer watches, a reviewer also comments, an editor also adds and keeps assets of
their own and has masters sent, an owner does everything in a workspace, an admin does everything."""

EVERYWHERE: frozenset[str] = frozenset({"admin"})
"""The roles of an account that count in every workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks."""

    user_id: UUID
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    """The only actions that are allowed whatever the roles give, as for an API key; None: no such bound."""
    workspaces: Mapping[UUID, frozenset[str]] = field(default_factory=dict, hash=False)
    """The roles in each workspace that the principal belongs to."""

    def roles_in(self, workspace_id: UUID | None) -> frozenset[str]:
        """Return the roles that count in a workspace; those of the account for what belongs to none."""
        if workspace_id is None:
            return self.roles
        return self.workspaces.get(workspace_id, frozenset()) | (self.roles & EVERYWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one user may do to one resource, whatever their roles."""

    user_id: UUID
    actions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is asked about; for `create`, what will be made, with the owner of what it belongs to."""

    kind: str
    """As in the actions: `asset`, `comment`, `preview`, …"""
    owner_id: UUID | None = None
    """None: nobody owns it, so that `:own` never applies."""
    shares: tuple[Share, ...] = ()
    """Those that are in force now."""
    workspace_id: UUID | None = None
    """The workspace that it belongs to; None: to none, so that the roles of the account count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether it is allowed, and why; true when it is."""

    action: str
    allowed: bool
    reason: str
    """`granted by ROLE`, `shared`, `unknown action`, `wrong kind of resource`, `outside the scopes`, `not the owner` or
    `no role allows it`."""

    def __bool__(self) -> bool:
        return self.allowed

    def require(self) -> None:
        """Return if it is allowed.

        Raises:
            PermissionDeniedError: It is not.
        """
        if not self.allowed:
            raise PermissionDeniedError(self.action, self.reason)


def decide(principal: Principal, action: str, resource: Resource | None = None, *, roles: Roles = ROLES) -> Decision:
    """Decide whether the principal may do an action, on a resource where there is one.

    Args:
        principal: Who asks; roles that `roles` does not know give nothing.
        action: One of `ACTIONS`.
        resource: What it is done to. Without one, `:own` permissions do not apply.
        roles: What each role allows.
    """
    if action not in ACTIONS:
        return Decision(action=action, allowed=False, reason="unknown action")
    if resource is not None and resource.kind != action.partition(".")[0]:
        return Decision(action=action, allowed=False, reason="wrong kind of resource")
    if principal.scopes is not None and action not in principal.scopes:
        return Decision(action=action, allowed=False, reason="outside the scopes")
    owns = resource is not None and resource.owner_id == principal.user_id
    reason = "no role allows it"
    for role in sorted(principal.roles_in(None if resource is None else resource.workspace_id)):
        permissions = roles.get(role, frozenset())
        if action in permissions or (owns and f"{action}:own" in permissions):
            return Decision(action=action, allowed=True, reason=f"granted by {role}")
        if f"{action}:own" in permissions:
            reason = "not the owner"
    for share in resource.shares if resource is not None else ():
        if share.user_id == principal.user_id and action in share.actions:
            return Decision(action=action, allowed=True, reason="shared")
    return Decision(action=action, allowed=False, reason=reason)
