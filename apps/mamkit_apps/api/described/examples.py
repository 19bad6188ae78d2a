"""Examples of bodies, put together from their schemas, so that a new member never leaves one out of date."""

from collections.abc import Mapping
from typing import Any

__all__ = ["example_of"]

ID = "0198f3a2-7c1e-7d33-8a51-5b7d0c1e9f42"
TIME = "2026-01-31T12:00:00Z"
DIGEST = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

MEMBERS: Mapping[str, Any] = {
    "action": "user.login",
    "actions": ["asset.read"],
    "content_type": "video/mp4",
    "detail": {},
    "display_name": "Ada",
    "email": "ada@example.com",
    "facts": {"duration": 60.0, "width": 1920, "height": 1080},
    "failure": None,
    "failure_code": None,
    "filename": "film.mp4",
    "headers": {"content-type": "video/mp4"},
    "method": "PUT",
    "mtime": TIME,
    "name": "edit suite",
    "number": 1,
    "password": "correct horse battery staple",
    "progress": 0.5,
    "provider": "example",
    "return_to": "/",
    "roles": ["editor"],
    "scopes": ["asset.read"],
    "sha256": DIGEST,
    "size": 1048576,
    "staging_key": f"uploads/{ID}/{ID}/original.mp4",
    "subject": f"user:{ID}",
    "title": "A film",
    "uri": "otpauth://totp/mamkit:ada@example.com?secret=…",
    "url": "https://edge.example.com/s/v1.2026a.c2lnbmVk/previews/a/index.m3u8",
}
"""What members of these names hold, wherever their schema lets them."""

FORMATS: Mapping[str, Any] = {
    "uuid": ID,
    "date-time": TIME,
    "uri": "https://example.com/film.mp4",
    "password": "…",
    "duration": "PT1H",
}


def example_of(schema: Mapping[str, Any], components: Mapping[str, Any], *, member: str = "") -> Any:
    """Return a value that a schema lets through.

    Args:
        schema: JSON Schema, as pydantic writes it.
        components: What `$ref` leads to, by name.
        member: Name of the member that the value is for.
    """
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, member=member)
    for given in (schema.get("examples"), [schema["const"]] if "const" in schema else None, schema.get("enum")):
        if given:
            return given[0]
    if schema.get("format") in {"uuid", "date-time"}:
        return FORMATS[schema["format"]]
    if member in MEMBERS and _may_be(MEMBERS[member], schema):
        return MEMBERS[member]
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        chosen = next((each for each in choices if each.get("type") != "null"), choices[0])
        return example_of(chosen, components, member=member)
    return _by_type(schema, components, member)


def _by_type(schema: Mapping[str, Any], components: Mapping[str, Any], member: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        each = schema.get("prefixItems") or ([schema["items"]] if schema.get("items") else [])
        return [example_of(items, components, member=member.removesuffix("s")) for items in each]
    members = schema.get("properties", {}) if kind == "object" else {}
    plain = {
        "integer": schema.get("default") or schema.get("minimum") or 60,
        "number": schema.get("default") or schema.get("minimum") or min(60, schema.get("maximum", 60)),
        "boolean": bool(schema.get("default")),
        "string": schema.get("default") or FORMATS.get(schema.get("format", ""), "…"),
        "null": None,
    }
    return plain.get(str(kind), {name: example_of(each, components, member=name) for name, each in members.items()})


def _may_be(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value is of a type that a schema allows."""
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    name = names.get(type(value), "null")
    kinds = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    return any(each.get("type") == name for each in kinds)
