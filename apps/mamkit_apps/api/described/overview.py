"""What the OpenAPI document says about the API as a whole."""

from collections.abc import Mapping
from typing import Any

__all__ = ["OVERVIEW", "SECURITY", "TAGS"]

OVERVIEW = """Assets, their previews, and who may see them.

Errors are problem documents (RFC 9457) with a stable `code`. Lists come in pages: `next` of one is `after` of the following.
Whoever changes something sends the `ETag` that they read as `If-Match`. A POST with an `Idempotency-Key` may be sent again
until it is answered.

Bytes never go through the API: an answer with `method`, `url` and `headers` is a request that is to be sent as it stands, with
the bytes as its body and without a login; a form is sent to its `url` as `multipart/form-data`, its `fields` first and the file
as `file`. A URL that plays a film leads to a playlist (RFC 8216), from where everything is found by relative addresses.

The schema of a `text/event-stream` is that of each event: `event` is its name (without one it is a `message`), and `data` JSON
of its own schema. The extension `x-websocket` lists what a client `sends` and `receives`, each message one JSON text, and with
which code a connection `closes`."""  # noqa: E501 - Markdown; a line of it is a line of ours

TAGS: Mapping[str, str] = {
    "accounts": "Registering, logging in, sessions, second factors, passkeys and API keys.",
    "administration": "Users and roles, the audit, who may do what to an asset, and jobs.",
    "assets": "From an upload to a master, and what is said about it.",
    "collections": "Assets put together by hand or by a filter, in a tree and in an order.",
    "comments": "What people say about a moment, a range or the whole.",
    "events": "What happens, as it happens.",
    "health": "How the service is.",
    "imports": "Media that the service brings in itself: from URLs, a watched folder or a watched bucket.",
    "notifications": "What concerns somebody.",
    "previews": "Building, following and playing them.",
    "shared": "What somebody sees and does who comes by a share link.",
    "shares": "Links for those without an account.",
    "trash": "Throwing away, taking back, removing for good.",
    "uploads": "Large files in parts, forms for browsers, and files that are there already.",
    "webhooks": "Where a workspace wants to be told of its events.",
    "workspaces": "Who works together, in which role, and how much they keep.",
}

SECURITY: Mapping[str, Mapping[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The `access_token` of a login, or an API key.",
    },
    "share": {"type": "http", "scheme": "bearer", "description": "The `token` of a share link."},
    "callback": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "A signature with the callback secret, which the service's own workers have.",
    },
}
"""Ways to show who asks."""
