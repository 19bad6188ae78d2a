"""Who may do what: roles are data, and one pure function decides. What nothing allows is denied."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args
from uuid import UUID

from mamkit.auth.errors import PermissionDeniedError

__all__ = ["ACTIONS", "ROLES", "Action", "Decision", "Principal", "Resource", "Roles", "Share", "decide"]

Roles = Mapping[str, frozenset[str]]
"""Role name → permissions. A permission is an action, `kind.verb`, alone for the things of everybody, or followed by
`:own` for those that the principal owns."""

Action = Literal[
    "asset.create",
    "asset.delete",
    "asset.read",
    "asset.update",
    "asset.share",
    "audit.read",
    "comment.create",
    "comment.delete",
    "comment.read",
    "preview.create",
    "preview.read",
    "user.manage",
    "user.read",
]
"""All that can be asked for, `kind.verb`."""

ACTIONS: frozenset[str] = frozenset(get_args(Action))
"""The same at run time; anything else is denied to everybody."""

_VIEWER = frozenset({"asset.read", "comment.read", "preview.read", "user.read:own"})
_REVIEWER = _VIEWER | {"comment.create", "comment.delete:own"}
_EDITOR = _REVIEWER | {"asset.create", "asset.update:own", "asset.delete:own", "asset.share:own", "preview.create:own"}

ROLES: Roles = MappingProxyType({"admin": ACTIONS, "editor": _EDITOR, "reviewer": _REVIEWER, "viewer": _VIEWER})
"""The roles that come with mamkit: a viewer watches, a reviewer also comments, an editor also adds and keeps assets of
their own, an admin does everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks."""

    user_id: UUID
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    """The only actions that are allowed whatever the roles give, as for an API key; None: no such bound."""


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
    for role in sorted(principal.roles):
        permissions = roles.get(role, frozenset())
        if action in permissions or (owns and f"{action}:own" in permissions):
            return Decision(action=action, allowed=True, reason=f"granted by {role}")
        if f"{action}:own" in permissions:
            reason = "not the owner"
    for share in resource.shares if resource is not None else ():
        if share.user_id == principal.user_id and action in share.actions:
            return Decision(action=action, allowed=True, reason="shared")
    return Decision(action=action, allowed=False, reason=reason)
