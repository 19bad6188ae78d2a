"""What everybody gets from every route; read by `test_every_route`."""

from dataclasses import dataclass, field
from typing import Any

EVERYBODY = ("nobody", "viewer", "reviewer", "editor", "owner", "stranger", "admin", "link", "revoked")
"""Nobody is logged in as nobody. The next four are members of a workspace, in which the editor has an asset; the
stranger owns another workspace; `link` sends the token of a share link, and `revoked` a token that was good once."""


@dataclass(frozen=True)
class Row:
    """One route: its statuses in the order of `EVERYBODY`, and what is sent.

    Of a WebSocket they are 101 for whoever is let in, and else the code with which it is closed.
    """

    says: str
    body: Any = field(default_factory=dict)
    """`$name` stands for the id of a thing."""
    query: str = ""
    instead: dict[str, str] = field(default_factory=dict)
    """Other things for names in the path."""
    faulty: bool = False
    """Whether a status of 500 and more is right."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses."""
        return tuple(map(int, self.says.split()))


def anybody(status: int, body: Any = None, **more: Any) -> Row:
    """Return the row of a route that does not ask who is there."""
    return Row(" ".join([str(status)] * len(EVERYBODY)), {} if body is None else body, **more)


def logged_in(status: int, body: Any = None, **more: Any) -> Row:
    """Return the row of a route that everybody with an account may use for themselves."""
    return Row(f"401 {' '.join([str(status)] * 6)} 401 401", {} if body is None else body, **more)


ACCOUNTS = {
    "POST /auth/register": anybody(201, {"email": "$email", "password": "correct horse battery staple"}),
    "POST /auth/login": anybody(401, {"email": "$email", "password": "wrong"}),
    "POST /auth/refresh": anybody(401, {"refresh_token": "unknown"}),
    "POST /auth/logout": anybody(204, {"refresh_token": "unknown"}),
    "POST /auth/logout-all": logged_in(204),
    "GET /auth/sessions": logged_in(200),
    "DELETE /auth/sessions/{session_id}": logged_in(204),
    "POST /auth/password": logged_in(401, {"current": "wrong", "password": "correct horse battery staple"}),
    "GET /auth/me": logged_in(200),
    "POST /auth/verify-email/send": logged_in(202),
    "POST /auth/verify-email": anybody(401, {"token": "unknown"}),
    "POST /auth/reset-password/send": anybody(202, {"email": "ada@example.org"}),
    "POST /auth/reset-password": anybody(401, {"token": "unknown", "password": "correct horse battery staple"}),
    "POST /auth/invitations": Row("401 403 403 403 403 403 202 401 401", {"email": "ada@example.org"}),
    "POST /auth/login/second-factor": anybody(400, {"ticket": "unknown", "code": "000000"}),
    "POST /auth/second-factor": logged_in(200),
    "DELETE /auth/second-factor": logged_in(400),
    "POST /auth/second-factor/confirm": logged_in(400),
    "GET /auth/passkeys": logged_in(200),
    "POST /auth/passkeys/begin": logged_in(200),
    "POST /auth/passkeys/finish": logged_in(400, {"ticket": "unknown", "credential": {}}),
    "POST /auth/passkeys/login/begin": anybody(200),
    "POST /auth/passkeys/login/finish": anybody(400, {"ticket": "unknown", "credential": {}}),
    "DELETE /auth/passkeys/{passkey_id}": logged_in(204),
    "GET /auth/api-keys": logged_in(200),
    "POST /auth/api-keys": logged_in(201, {"name": "key", "scopes": ["asset.read"]}),
    "DELETE /auth/api-keys/{key_id}": logged_in(204),
    "GET /auth/providers": anybody(200),
    "POST /auth/providers/{name}/start": anybody(404),
    "POST /auth/providers/{name}/link": logged_in(404),
    "GET /auth/providers/{name}/callback": anybody(404),
    "POST /auth/providers/exchange": anybody(400, {"ticket": "unknown"}),
    "GET /auth/providers/linked": logged_in(200),
    "DELETE /auth/providers/linked/{identity_id}": logged_in(403),
    "GET /.well-known/jwks.json": anybody(200),
}


def guest(status: int, body: Any = None, **more: Any) -> Row:
    """Return the row of a route that is for those alone who come by a share link."""
    return Row(f"401 401 401 401 401 401 401 {status} 401", {} if body is None else body, **more)


ADMINISTRATION = {
    "PUT /api/users/{user_id}/status": Row("401 403 403 403 403 403 204 401 401", {"status": "disabled"}),
    "PUT /api/users/{user_id}/roles/{role}": Row("401 403 403 403 403 403 204 401 401"),
    "DELETE /api/users/{user_id}/roles/{role}": Row("401 403 403 403 403 403 204 401 401"),
    "GET /api/audit": Row("401 403 403 403 403 403 200 401 401", query="?subject=user:1"),
    "GET /api/jobs": Row("401 403 403 403 403 403 200 401 401", query="?state=dead"),
    "GET /api/jobs/{job_id}": Row("401 403 403 403 403 403 200 401 401"),
    "POST /api/jobs/{job_id}/retry": Row("401 403 403 403 403 403 200 401 401"),
    "POST /api/jobs/{job_id}/cancel": Row("401 403 403 403 403 403 200 401 401"),
    "DELETE /api/jobs/{job_id}": Row("401 403 403 403 403 403 204 401 401"),
    "GET /": anybody(303),
    "GET /healthz": anybody(200),
    "GET /metrics": anybody(200),  # the site keeps it from strangers
    "GET /api/health": anybody(200),
}

WORKSPACES = {
    "GET /api/stats": Row("401 200 200 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "GET /api/workspaces": logged_in(200),
    "POST /api/workspaces": logged_in(201, {"name": "New"}),
    "GET /api/workspaces/{workspace_id}": Row("401 200 200 200 200 404 200 401 401"),
    "PATCH /api/workspaces/{workspace_id}": Row("401 403 403 403 200 404 200 401 401", {"name": "Studio"}),
    "DELETE /api/workspaces/{workspace_id}": Row(
        "401 403 403 403 204 404 204 401 401", instead={"workspace_id": "empty_workspace_id"}
    ),
    "GET /api/workspaces/{workspace_id}/members": Row("401 200 200 200 200 404 200 401 401"),
    "PUT /api/workspaces/{workspace_id}/members/{user_id}": Row(
        "401 403 403 403 204 404 204 401 401", {"role": "viewer"}
    ),
    "DELETE /api/workspaces/{workspace_id}/members/{user_id}": Row("401 403 403 403 204 404 204 401 401"),
}

ASSETS = {
    "POST /api/presign": Row(
        "401 403 403 200 200 404 200 401 401", {"filename": "a.mp4", "size": 5, "workspace_id": "$workspace_id"}
    ),
    "POST /api/assets": Row(
        "401 403 403 201 201 404 201 401 401",
        {"asset_id": "$nothing", "filename": "a.mp4", "title": "New", "workspace_id": "$workspace_id"},
    ),
    "GET /api/assets": Row("401 200 200 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "GET /api/assets/{asset_id}": Row("401 200 200 200 200 404 200 401 401"),
    "GET /api/facets": Row("401 200 200 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "PATCH /api/assets/{asset_id}": Row("401 403 403 200 200 404 200 401 401", {"title": "New", "tags": ["a"]}),
    "PUT /api/assets/{asset_id}/playing": Row("401 403 403 200 200 404 200 401 401", {"number": 1}),
    "DELETE /api/assets/{asset_id}": Row("401 403 403 204 204 404 204 401 401"),
    "POST /api/trash/{asset_id}/restore": Row(
        "401 403 403 200 200 404 200 401 401", instead={"asset_id": "trashed_asset_id"}
    ),
    "DELETE /api/trash/{asset_id}": Row(
        "401 403 403 202 202 404 202 401 401", instead={"asset_id": "trashed_asset_id"}
    ),
    # The upload was promoted before.
    "POST /api/promote": Row("401 403 403 200 200 404 200 401 401", {"asset_id": "$asset_id"}),
    "GET /api/assets/{asset_id}/shares": Row("401 403 403 200 200 404 200 401 401"),
    "PUT /api/assets/{asset_id}/shares/{user_id}": Row(
        "401 403 403 204 204 404 204 401 401", {"actions": ["asset.read"]}
    ),
    "DELETE /api/assets/{asset_id}/shares/{user_id}": Row("401 403 403 204 204 404 204 401 401"),
}

UPLOADS = {
    "GET /api/assets/{asset_id}/versions": Row("401 200 200 200 200 404 200 401 401"),
    "GET /api/uploads/duplicates": logged_in(200, query=f"?sha256={64 * '0'}"),
    "POST /api/uploads/form": Row(
        "401 403 403 200 200 404 200 401 401", {"filename": "a.mp4", "size": 5, "workspace_id": "$workspace_id"}
    ),
    "POST /api/uploads/parts": Row(
        "401 403 403 201 201 404 201 401 401", {"filename": "a.mp4", "size": 5, "asset_id": "$asset_id"}
    ),
    # What was begun is sealed for whoever began it.
    "POST /api/uploads/parts/sign": logged_in(400, {"upload": "unknown", "numbers": [1]}),
    "POST /api/uploads/parts/list": logged_in(400, {"upload": "unknown"}),
    "POST /api/uploads/parts/complete": logged_in(400, {"upload": "unknown"}),
    "POST /api/uploads/parts/abort": logged_in(400, {"upload": "unknown"}),
}

IMPORTS = {  # the import is the editor's; as it is no network that is allowed, nothing is fetched
    "POST /api/imports": Row(
        "401 403 403 201 201 404 201 401 401",
        {"url": "https://media.example.com/film.mp4", "workspace_id": "$workspace_id"},
    ),
    "GET /api/imports": Row("401 403 403 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "GET /api/imports/{import_id}": Row("401 403 403 200 200 404 200 401 401"),
    "POST /api/imports/{import_id}/cancel": Row("401 403 403 200 200 404 200 401 401"),
}

COMMENTS = {  # the comment is the reviewer's
    "GET /api/assets/{asset_id}/comments": Row("401 200 200 200 200 404 200 401 401"),
    "POST /api/assets/{asset_id}/comments": Row(
        "401 403 201 201 201 404 201 401 401", {"content": "too dark", "start_seconds": 1.5}
    ),
    "GET /api/assets/{asset_id}/comments/export": Row("401 200 200 200 200 404 200 401 401"),
    "GET /api/comments/{comment_id}": Row("401 200 200 200 200 404 200 401 401"),
    "PATCH /api/comments/{comment_id}": Row("401 403 200 403 200 404 200 401 401", {"content": "too bright"}),
    "DELETE /api/comments/{comment_id}": Row("401 403 204 403 204 404 204 401 401"),
    "PUT /api/comments/{comment_id}/resolution": Row("401 403 200 200 200 404 200 401 401"),
    "DELETE /api/comments/{comment_id}/resolution": Row("401 403 200 200 200 404 200 401 401"),
}

COLLECTIONS = {  # the collection is the editor's, as the asset in it
    "GET /api/collections": Row("401 200 200 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "POST /api/collections": Row(
        "401 403 403 201 201 404 201 401 401", {"name": "Picks", "workspace_id": "$workspace_id"}
    ),
    "GET /api/collections/{collection_id}": Row("401 200 200 200 200 404 200 401 401"),
    "PATCH /api/collections/{collection_id}": Row("401 403 403 200 200 404 200 401 401", {"name": "Best"}),
    "PUT /api/collections/{collection_id}/place": Row("401 403 403 200 200 404 200 401 401", {"first": True}),
    "DELETE /api/collections/{collection_id}": Row("401 403 403 204 204 404 204 401 401"),
    "GET /api/collections/{collection_id}/assets": Row("401 200 200 200 200 404 200 401 401"),
    "PUT /api/collections/{collection_id}/assets/{asset_id}": Row("401 403 403 204 204 404 204 401 401"),
    "DELETE /api/collections/{collection_id}/assets/{asset_id}": Row("401 403 403 204 204 404 204 401 401"),
}

SHARES = {
    "GET /api/share-links": Row("401 403 403 200 200 404 200 401 401", query="?workspace={workspace_id}"),
    "POST /api/share-links": Row("401 403 403 201 201 404 201 401 401", {"asset_id": "$asset_id"}),
    "GET /api/share-links/{link_id}": Row("401 403 403 200 200 404 200 401 401"),
    "PATCH /api/share-links/{link_id}": Row("401 403 403 200 200 404 200 401 401", {"rights": ["comment"]}),
    "DELETE /api/share-links/{link_id}": Row("401 403 403 204 204 404 204 401 401"),
    "GET /api/share-links/{link_id}/uses": Row("401 403 403 200 200 404 200 401 401"),
    "POST /api/shared/unlock": guest(400, {"password": "unknown"}),  # the link has none
    "GET /api/shared": guest(200),
    "GET /api/shared/assets": guest(200),
    "GET /api/shared/assets/{asset_id}": guest(200),
    "GET /api/shared/assets/{asset_id}/artwork": guest(200),
    "GET /api/shared/assets/{asset_id}/captions": guest(200),
    "POST /api/shared/assets/{asset_id}/sign-preview": guest(200),
    "POST /api/shared/assets/{asset_id}/sign-download": guest(200),
    "GET /api/shared/assets/{asset_id}/comments": guest(200),
    "POST /api/shared/assets/{asset_id}/comments": guest(201, {"content": "too dark", "name": "Eve"}),
}

PREVIEWS = {
    "POST /api/preview": Row("401 403 403 202 202 404 202 401 401", {"version_id": "$version_id"}),
    "GET /api/preview/status": Row("401 200 200 200 200 404 200 401 401", query="?version_id={version_id}"),
    "GET /api/preview/artwork": Row("401 200 200 200 200 404 200 401 401", query="?version_id={version_id}"),
    "GET /api/preview/captions": Row("401 200 200 200 200 404 200 401 401", query="?version_id={version_id}"),
    "GET /api/preview/events": Row("401 200 200 200 200 404 200 401 401", query="?version_id={version_id}"),
    "POST /api/preview/callback": anybody(403),
    "POST /api/sign-preview": Row("401 200 200 200 200 404 200 401 401", {"version_id": "$version_id"}),
    "POST /api/sign-download": Row("401 403 403 200 200 404 200 401 401", {"version_id": "$version_id"}),
}

WEBHOOK = "/api/workspaces/{workspace_id}/webhooks/{webhook_id}"
EVENTS = {
    "GET /api/events": logged_in(200, query="?follow=false"),
    "GET /api/events/ws": anybody(426),  # without an upgrade
    "WEBSOCKET /api/events/ws": Row("4401 101 101 101 101 101 101 4401 4401"),
    "GET /api/notifications": logged_in(200),
    "POST /api/notifications/read": logged_in(204),
    "GET /api/notifications/settings": logged_in(200),
    "PUT /api/notifications/settings": logged_in(200, {"kinds": ["preview.failed"]}),
    "POST /api/workspaces/{workspace_id}/webhooks": Row(
        "401 403 403 403 201 404 201 401 401", {"url": "https://hooks.example.com/"}
    ),
    "GET /api/workspaces/{workspace_id}/webhooks": Row("401 403 403 403 200 404 200 401 401"),
    f"GET {WEBHOOK}": Row("401 403 403 403 200 404 200 401 401"),
    f"PATCH {WEBHOOK}": Row("401 403 403 403 200 404 200 401 401", {"description": "New"}),
    f"DELETE {WEBHOOK}": Row("401 403 403 403 204 404 204 401 401"),
    f"POST {WEBHOOK}/secret": Row("401 403 403 403 200 404 200 401 401"),
    f"POST {WEBHOOK}/test": Row("401 403 403 403 202 404 202 401 401"),
    f"GET {WEBHOOK}/deliveries": Row("401 403 403 403 200 404 200 401 401"),
    f"POST {WEBHOOK}/deliveries/{{delivery_id}}/replay": Row("401 403 403 403 202 404 202 401 401"),
}

TABLE: dict[str, Row] = (
    ACCOUNTS
    | ADMINISTRATION
    | WORKSPACES
    | ASSETS
    | UPLOADS
    | IMPORTS
    | COMMENTS
    | COLLECTIONS
    | SHARES
    | PREVIEWS
    | EVENTS
)
