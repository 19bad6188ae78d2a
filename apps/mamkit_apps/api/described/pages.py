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
from mamkit_apps.api.described.overview import TAGS

__all__ = ["JsonPage", "ReadablePage", "StyleSheet"]

STYLE = """
:root { color-scheme: light dark } /* of the root, or the page behind the text stays white */
body { font: 100%/1.5 system-ui, sans-serif; overflow-wrap: break-word }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2 }
h2 { margin: 2.5rem 0 .5rem; scroll-margin-top: 1rem }
p, dd { max-width: 42rem } /* some 75 characters */
code, pre { font: .9em/1.5 ui-monospace, monospace }
a:focus-visible, summary:focus-visible { outline: 2px solid; outline-offset: 2px }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.2rem; padding: 0; list-style: none }
nav a { display: block; padding: .2rem 0 }
details { border-top: 1px solid #8884; padding-left: 1.2rem }
summary { cursor: pointer; padding: .4rem 0; list-style-position: outside }
summary b { display: inline-block; min-width: 4.8rem }
summary span, small { opacity: .7 }
summary span { display: inline-block } /* a long one has a line of its own */
h3 { font-size: 1em; margin: 1.2rem 0 .3rem }
pre { padding: .6rem; background: #8881; border-radius: .3rem; white-space: pre-wrap; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: minmax(0, 16rem) minmax(0, 1fr); gap: .2rem 1rem; margin: 0 0 1rem }
dl.answers { grid-template-columns: 2.5rem minmax(0, 1fr) }
dd, pre { margin: 0 }
dd pre { margin: .3rem 0 }
@media (max-width: 40rem) {
  summary span { display: block }
  dl:not(.answers) { display: block }
  dl:not(.answers) dd { margin-bottom: .6rem }
}
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
        names = sorted(groups)
        ways = "".join(f'<li><a href="#{escape(name)}">{escape(name)}</a>' for name in names)
        sections = "".join(f"{_head(name)}{''.join(groups[name])}</section>" for name in names)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/schema/style.css">'
            f"<header><h1>{escape(title)}</h1>{_paragraphs(document['info']['description'])}"
            '<p><a href="/schema/openapi.json">openapi.json</a></p></header>'
            f'<nav aria-label="Groups of operations"><ul>{ways}</ul></nav><main>{sections}</main></html>'
        ).encode()


def _head(tag: str) -> str:
    name = escape(tag)
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{name}</h2>{_paragraphs(TAGS.get(tag, ""))}'


def _operation(method: str, path: str, found: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    summary = found["summary"]
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code>"
    yield f" <span>{_text(summary)}</span></summary>"
    # The summary stands above already, and often is the first of the paragraphs.
    yield _paragraphs(found["description"].removeprefix(f"{summary}.").lstrip())
    schemes = document["components"]["securitySchemes"]
    for name in (name for way in found.get("security", []) for name in way):
        yield f"<p>Needs: {_text(schemes[name]['description'])}</p>"
    if parameters := found.get("parameters"):
        yield "<h3>Parameters</h3><dl>"
        for each in parameters:
            where = f"{each['in']}, required" if each.get("required") else each["in"]
            yield f"<dt><code>{escape(each['name'])}</code> <small>{escape(where)}</small>"
            yield f"<dd>{_text(each.get('description', ''))}"
        yield "</dl>"
    if body := found.get("requestBody"):
        yield f"<h3>Body</h3>{_examples(body)}"
    yield '<h3>Answers</h3><dl class="answers">'
    for status, given in sorted(found["responses"].items()):
        answer = given
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        yield f"<dt>{status}<dd>{_text(answer['description'])}{_examples(answer if int(status) < 300 else {})}"
    yield "</dl></details>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _text(text: str) -> str:
    """Return text with what stands in backquotes as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _examples(body: Mapping[str, Any]) -> str:
    examples = (content["example"] for content in body.get("content", {}).values() if content.get("example"))
    return "".join(f"<pre>{escape(json.dumps(each, indent=2, ensure_ascii=False))}</pre>" for each in examples)
