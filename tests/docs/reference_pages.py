"""The reference pages that are made from the code: `uv run nox -s reference` writes them, a test compares."""

import ast
import inspect
import json
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from mamkit_apps.api.asgi import create_app
from mamkit_apps.api.described import described
from mamkit_apps.api.described.document import DONE, PROBLEMS
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.worker.settings import WorkerSettings
from tests.architecture.sources import ROOT

__all__ = ["PAGES", "write"]

REFERENCE = ROOT / "docs" / "reference"
MARKS = ("<!-- from the settings classes: uv run nox -s reference -->\n", "<!-- until here -->\n")
SERVICES: Mapping[str, type[ServiceSettings]] = {"api": ApiSettings, "edge": EdgeSettings, "worker": WorkerSettings}
USUAL = set(DONE.values())
METHODS = ("get", "post", "put", "patch", "delete")


def settings_page() -> str:
    """Return docs/reference/settings.md with a table of all settings between its marks."""
    text = (REFERENCE / "settings.md").read_text("utf-8")
    before, start, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    assert start, f"settings.md has lost {MARKS[0]!r}"
    assert end, f"settings.md has lost {MARKS[1]!r}"
    head = "| name | default | services | meaning |\n|---|---|---|---|\n"
    return before + start + "\n" + head + "".join(f"{row}\n" for row in _rows()) + "\n" + end + after


def _rows() -> Iterator[str]:
    names = dict.fromkeys(chain(ServiceSettings.model_fields, *(each.model_fields for each in SERVICES.values())))
    for name in names:
        users = {service: kind for service, kind in SERVICES.items() if name in kind.model_fields}
        defaults = dict.fromkeys(_default(name, kind.model_fields[name].default) for kind in users.values())
        meanings = dict.fromkeys(_meaning(name, kind) for kind in users.values())
        who = "all" if len(users) == len(SERVICES) else ", ".join(users)
        yield f"| `{name.upper()}` | {', '.join(filter(None, defaults))} | {who} | {'; or: '.join(meanings)} |"


def _default(name: str, value: Any) -> str:
    if value is None or value is PydanticUndefined or value in {"", ()}:  # or made of other settings, as its text says
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        for unit, size in (("TiB", 1 << 40), ("MiB", 1 << 20)):
            if name.endswith("_bytes") and value % size == 0:
                return f"{value // size} {unit}"
        return f"{value:g}" if value < 10_000 or name.endswith("port") else f"{value:,}"
    return f"`{value}`"


def _meaning(name: str, kind: type[ServiceSettings]) -> str:
    """Return what stands below a setting in its class, or in the one that it comes from."""
    for each in kind.__mro__:
        if name in vars(each).get("__annotations__", {}):
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
            assert isinstance(body, ast.ClassDef)
            for line, below in zip(body.body, body.body[1:], strict=False):
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == name:
                    text = below.value.value if _is_text(below) else ""  # type: ignore[attr-defined]
                    assert isinstance(text, str)
                    assert text, f"{each.__name__}.{name} has no docstring"
                    return inspect.cleandoc(text).replace("\n", " ").replace("|", "\\|").rstrip(".")
    raise AssertionError(f"{kind.__name__}.{name} is declared nowhere")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def operations_page() -> str:
    """Return docs/reference/operations.md: every operation of the API, as its OpenAPI document describes it."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(ApiSettings.load(data_dir=Path(folder)))
        document = described(app, app.openapi_schema.to_schema())
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if operation := item.get(method):
                tag = operation.get("tags", ["other"])[0]
                groups.setdefault(tag, []).append("\n".join(_operation(method, path, operation, document)))
    sections = (f"## {tag}\n\n" + "\n".join(groups[tag]) for tag in sorted(groups))
    return (
        "# Operations of the API\n\n"
        "Made from the API's own OpenAPI document, which it shows at `/schema`. What holds for every request, and the\n"
        "routes of edge and worker, stand in [HTTP](http.md). What a status means where nothing else is said:\n\n"
        "| status | |\n|---|---|\n"
        + "".join(f"| {code} | {text} |\n" for code, text in PROBLEMS.items())
        + "\n429 and 503 may be the answer to everything.\n\n"
        + "\n".join(sections)
    )


def _operation(method: str, path: str, found: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`\n"
    for paragraph in found["description"].split("\n\n"):
        yield textwrap.fill(paragraph, 120) + "\n"
    if parameters := found.get("parameters"):
        yield "| parameter | in | |\n|---|---|---|"
        for each in parameters:
            text = each.get("description", "").replace("\n", " ").replace("|", "\\|")
            needed = "required" + (": " if text else "") if each.get("required") else ""
            yield f"| `{each['name']}` | {each['in']} | {needed}{text} |"
        yield ""
    if body := found.get("requestBody"):
        for kind, content in body["content"].items():
            if example := content.get("example"):
                yield f"Body, `{kind}`:\n\n```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n"
    answers = []
    for status, given in sorted(found["responses"].items()):
        answer = given
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        if status not in {"429", "503"}:
            special = (
                "" if "$ref" in given or answer["description"] in USUAL else f" ({answer['description'].rstrip('.')})"
            )
            answers.append(f"`{status}`{special}")
    yield textwrap.fill("Answers: " + ", ".join(answers) + f". {_who(found)}", 120) + "\n"


def _who(found: Mapping[str, Any]) -> str:
    needs = {"bearer": "a login or an API key", "share": "a share link", "callback": "a signature"}
    ways = [needs[name] for way in found.get("security", []) for name in way]
    return f"Needs {' or '.join(ways) or 'no login'}."


PAGES = {"settings.md": settings_page, "operations.md": operations_page}


def write() -> None:
    """Write the pages."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"wrote {', '.join(PAGES)}\n")
