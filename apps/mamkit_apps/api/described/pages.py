"""The OpenAPI document as a file and as a page, made at the first request for it.

The page has no script, so that the strict policy of all answers holds for it, too, and it asks nobody else.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from litestar import MediaType, Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from mamkit_apps.api.described.document import described

__all__ = ["JsonPage", "ReadablePage", "StyleSheet"]

STYLE = """
:root { color-scheme: light dark } /* of the root, or the page behind the text stays white */
body { font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .3rem 0 }
summary b { display: inline-block; min-width: 4.5rem }
summary span { opacity: .7 }
details { border-top: 1px solid #8884 }
details > *:not(summary) { margin-left: 1.2rem }
pre { overflow-x: auto; padding: .6rem; background: #8881; border-radius: .3rem }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .1rem 1rem .1rem 0 }
"""
METHODS = ("get", "post", "put", "patch", "delete")


class JsonPage(JsonRenderPlugin):
    """`/schema/openapi.json`."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, described(request.app, openapi_schema))


class StyleSheet(OpenAPIRenderPlugin):
    """`/schema/style.css`."""

    def __init__(self) -> None:
        super().__init__(path="/style.css", media_type=MediaType.CSS)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the style of the page."""
        del request, openapi_schema
        return STYLE.encode()


class ReadablePage(OpenAPIRenderPlugin):
    """`/schema`: every operation with its parameters, an example of its body, and what it may answer."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        document = described(request.app, openapi_schema)
        title = f"{document['info']['title']} {document['info']['version']}"
        groups: dict[str, list[str]] = defaultdict(list)
        for path, item in document["paths"].items():
            for method in METHODS:
                if operation := item.get(method):
                    tag = operation.get("tags", ["other"])[0]
                    groups[tag].append("".join(_operation(method, path, operation, document)))
        sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in sorted(groups.items()))
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/schema/style.css">'
            f"<h1>{escape(title)}</h1>{_paragraphs(document['info']['description'])}"
            f'<p><a href="/schema/openapi.json">openapi.json</a></p>{sections}</html>'
        ).encode()


def _operation(method: str, path: str, found: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code>"
    yield f" <span>{_text(found['summary'])}</span></summary>"
    yield _paragraphs(found["description"])
    schemes = document["components"]["securitySchemes"]
    for name in (name for way in found.get("security", []) for name in way):
        yield f"<p>Needs: {_text(schemes[name]['description'])}</p>"
    if parameters := found.get("parameters"):
        yield "<table>"
        for each in parameters:
            needed = "required" if each.get("required") else ""
            yield f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}<td>{needed}"
            yield f"<td>{_text(each.get('description', ''))}"
        yield "</table>"
    if body := found.get("requestBody"):
        yield from _content("Body", body)
    for status, given in sorted(found["responses"].items()):
        answer = given
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        yield from _content(f"{status}: {answer['description']}", answer if int(status) < 300 else {})
    yield "</details>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(paragraph)}</p>" for paragraph in text.split("\n\n"))


def _text(text: str) -> str:
    """Return text with what stands in backquotes as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _content(title: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line, and the example of a body where there is one."""
    yield f"<p>{_text(title)}</p>"
    for content in body.get("content", {}).values():
        if example := content.get("example"):
            yield f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
