"""What parameters of paths and queries mean. A name means the same wherever it stands.

Where it cannot, the handler says it (`QueryParameter(description=…)`), and that counts.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["parameter"]

MEANINGS: Mapping[str, str] = {
    "after": "`next` of the page before, or the id of its last entry if it has none; without it, the first page.",
    "asset_id": "Of an asset.",
    "codec": "FFmpeg's name of the codec, e.g. `h264`.",
    "collection_id": "Of a collection.",
    "comment_id": "Of a comment.",
    "created_before": "Only what was made before this time.",
    "created_from": "Only what was made at this time or later.",
    "delivery_id": "Of a message to a webhook.",
    "everything": "The whole installation, for administrators, instead of one workspace.",
    "follow": "Whether the stream goes on; if not, it ends with what has happened up to now.",
    "format": "What it is for: a spreadsheet, DaVinci Resolve, Final Cut Pro or Premiere.",
    "identity_id": "Of a linked login.",
    "import_id": "Of an import.",
    "job_id": "Of a job.",
    "key_id": "Of an API key.",
    "kind": "Only assets of this kind.",
    "lifetime_seconds": "How long the URLs are good, within the service's bounds; without it, as long as they may be.",
    "limit": "How many a page holds at most.",
    "link_id": "Of a share link.",
    "max_duration": "Seconds, included.",
    "max_height": "Pixels, included.",
    "min_duration": "Seconds, included.",
    "min_height": "Pixels, included.",
    "mine": "Only what whoever asks has uploaded.",
    "name": "Of a service at which people log in, as `GET /auth/providers` lists it.",
    "owner_id": "Only what this user has uploaded.",
    "passkey_id": "Of a passkey.",
    "q": "Words of which each begins a word of title, description, fields, tags, comments, file name or codec.",
    "resolved": "Only threads that are resolved, or that are not.",
    "role": "Of an account.",
    "session_id": "Of a session.",
    "sha256": "Of the file, in hexadecimal.",
    "sort": "The order of what is found.",
    "state": "Only jobs in this state.",
    "status": "Only assets whose preview is so far.",
    "subject": "What it is about: `user:…`, `workspace:…`, `asset:…`, `collection:…`, `share_link:…`, with an id.",
    "tag": "Only assets with this tag; may be given several times.",
    "trashed": "What lies in the trash, instead of what does not.",
    "unread": "Only what was not marked as read.",
    "user_id": "Of a user.",
    "version_id": "Of a version.",
    "webhook_id": "Of a webhook.",
    "workspace": "Of the workspace that is looked at; without it, the personal one of whoever asks.",
    "workspace_id": "Of a workspace.",
}
LITESTARS_DEFAULTS = {"deprecated", "allowEmptyValue", "allowReserved"}


def parameter(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter with its meaning, and without the members that only repeat OpenAPI's defaults."""
    kept = {name: value for name, value in found.items() if name not in LITESTARS_DEFAULTS}
    if not kept.get("description") and (meaning := MEANINGS.get(kept["name"])):
        kept["description"] = meaning
    return kept
