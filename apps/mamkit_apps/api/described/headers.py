"""Headers of requests that are no parameters of a handler."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from mamkit_apps.api.callers import VISITOR
from mamkit_apps.api.idempotency import HEADER, KEY_PATTERN, takes_key

__all__ = ["request_headers"]


def request_headers(handler: HTTPRouteHandler) -> list[dict[str, Any]]:
    """Return the headers that requests to a handler may have."""
    found: list[dict[str, Any]] = []
    if handler.opt.get("match"):
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "description": "The `ETag` of the state that is to be changed.",
                "schema": {"type": "string", "examples": ['"6f1ed002ab5595859014ebf0951522d9"']},
                "required": False,  # 428 says so, and not 400
            }
        )
    if handler.opt.get("resumes"):
        found.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The `id` of the last event that was seen; only what came after it is told.",
                "schema": {"type": "string", "examples": ["7"]},
                "required": False,
            }
        )
    if VISITOR & handler.parsed_fn_signature.parameters.keys():
        found.append(
            {
                "name": "Share-Pass",
                "in": "header",
                "description": "The pass of `POST /api/shared/unlock`, where the link has a password.",
                "schema": {"type": "string", "pattern": r"^[\w.-]{1,1024}$", "examples": ["mks1.k1.c2VhbGVk"]},
                "required": False,
            }
        )
    if not takes_key(handler):
        return found
    key = {
        "name": HEADER.title(),
        "in": "header",
        "description": "Made up by the client for one request; the request sent again with it gets the first answer.",
        "schema": {"type": "string", "pattern": KEY_PATTERN, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
        "required": False,
    }
    return [*found, key]
