"""Headers that are no parameters of a handler: of requests, and of answers."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler

from mamkit_apps.api.callers.parameters import LOGIN, VISITOR
from mamkit_apps.api.middleware.idempotency import HEADER, KEY_PATTERN, takes_key

__all__ = ["HEADERS", "answer_headers", "problem_headers", "request_headers", "sends_tag"]

TAG = '"6f1ed002ab5595859014ebf0951522d9"'

HEADERS: Mapping[str, Any] = {
    "ETag": {
        "description": "The state that this shows: for `If-None-Match`, and for `If-Match` when it is changed.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(?:W/)?"[^"]+"$', "examples": [TAG]},
    },
    "Idempotent-Replayed": {
        "description": "This answer was given before, to a request with the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "Where the browser is to go.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "RateLimit": {
        "description": "What is left of the share: `r` requests, whole again in `t` seconds.",
        "schema": {"type": "string", "examples": ['"user";r=199;t=1']},
    },
    "RateLimit-Policy": {
        "description": "Whose share it is, and how large: `q` requests in `w` seconds.",
        "schema": {"type": "string", "examples": ['"user";q=200;w=10']},
    },
    "Retry-After": {
        "description": "Seconds after which it may be tried again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [3]},
    },
    "Set-Cookie": {
        "description": "For the browser that asks: the right to play (`carrier`), or which login it has begun.",
        "schema": {"type": "string", "examples": ["mamkit_grant=…; Path=/s/; HttpOnly; Secure; SameSite=None"]},
    },
    "WWW-Authenticate": {
        "description": "How to log in (RFC 9110 section 11.6.1).",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
    "X-Request-ID": {
        "description": "Names the request in the service's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$", "examples": ["0198f3a27c1e7d338a51"]},
    },
}
"""Of answers, by name."""

LIMITED = ("RateLimit", "RateLimit-Policy")

_IF_MATCH: Mapping[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "description": "The `ETag` of the state that is to be changed.",
    "schema": {"type": "string", "examples": [TAG]},
    "required": False,  # 428 says so, and not 400
}
_IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The `ETag` of what the client has already: 304 if that is still so.",
    "schema": {"type": "string", "examples": [TAG]},
    "required": False,
}
_LAST_EVENT_ID: Mapping[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The `id` of the last event that was seen; only what came after it is told.",
    "schema": {"type": "string", "examples": ["7"]},
    "required": False,
}
_SHARE_PASS: Mapping[str, Any] = {
    "name": "Share-Pass",
    "in": "header",
    "description": "The pass of `POST /api/shared/unlock`, where the link has a password.",
    "schema": {"type": "string", "pattern": r"^[\w.-]{1,1024}$", "examples": ["mks1.k1.c2VhbGVk"]},
    "required": False,
}
_KEY: Mapping[str, Any] = {
    "name": HEADER.title(),
    "in": "header",
    "description": "Made up by the client for one request; the request sent again with it gets the first answer.",
    "schema": {"type": "string", "pattern": KEY_PATTERN, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
    "required": False,
}


def request_headers(handler: HTTPRouteHandler) -> Iterator[dict[str, Any]]:
    """Yield the headers that requests to a handler may have."""
    if handler.opt.get("match"):
        yield dict(_IF_MATCH)
    if handler.opt.get("resumes"):
        yield dict(_LAST_EVENT_ID)
    if sends_tag(handler) and "GET" in handler.http_methods:
        yield dict(_IF_NONE_MATCH)
    if VISITOR & handler.parsed_fn_signature.parameters.keys():
        yield dict(_SHARE_PASS)
    if takes_key(handler):
        yield dict(_KEY)


def sends_tag(handler: HTTPRouteHandler) -> bool:
    """Return whether 200 comes with an `ETag`: what was read in one piece, and what a change has made."""
    if "GET" in handler.http_methods:
        return handler.status_code == HTTPStatus.OK and not (handler.opt.get("events") or handler.opt.get("socket"))
    return bool(handler.opt.get("match"))


def answer_headers(handler: HTTPRouteHandler, status: str) -> dict[str, Any]:
    """Return the headers of an answer that is no problem."""
    names = ["X-Request-ID"]
    asks = handler.parsed_fn_signature.parameters.keys()
    if status in {"200", "304"} and sends_tag(handler):
        names.append("ETag")
    if asks & (LOGIN | VISITOR) and not handler.opt.get("unlimited"):
        names += LIMITED
    if takes_key(handler):
        names.append("Idempotent-Replayed")
    names += handler.opt.get("headers", ())
    return _references(names)


def problem_headers(status: int) -> dict[str, Any]:
    """Return the headers of a problem document."""
    more: Mapping[int, tuple[str, ...]] = {
        401: ("WWW-Authenticate",),
        409: ("Retry-After",),
        429: ("Retry-After", *LIMITED),
    }
    return _references(["X-Request-ID", *more.get(status, ())])


def _references(names: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}
