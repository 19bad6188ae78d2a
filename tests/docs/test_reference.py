"""The reference pages name everything that there is: every setting, command, option and route."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from litestar import Litestar

from mamkit_apps.api.asgi import create_app as create_api
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.cli import cli
from mamkit_apps.edge.asgi import create_app as create_edge
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.worker.settings import WorkerSettings
from tests.architecture.sources import ROOT
from tests.docs.reference_pages import PAGES

REFERENCE = ROOT / "docs" / "reference"
GENERATED = {"/schema"}  # made by Litestar


def commands(group: click.Group, prefix: str = "mamkit") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


@pytest.mark.parametrize("name", PAGES)
def test_what_is_made_from_the_code_is_as_the_code_is(name: str) -> None:
    """`uv run nox -s reference` writes it."""
    assert (REFERENCE / name).read_text("utf-8") == PAGES[name]()


def test_every_setting_has_its_line_and_every_line_its_setting() -> None:
    text = (REFERENCE / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([A-Z0-9_]+)` \|[^|]*\| ([^|]*) \|", text, re.MULTILINE))
    services: tuple[type[ServiceSettings], ...] = (ApiSettings, EdgeSettings, WorkerSettings)
    assert rows.keys() == {name.upper() for service in services for name in service.model_fields}


@pytest.mark.parametrize(
    ("name", "command"), list(commands(cli)), ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_every_command_stands_there_with_its_options(name: str, command: click.Command) -> None:
    lines = (REFERENCE / "command-line.md").read_text("utf-8").splitlines()
    [line] = [line for line in lines if re.match(rf"\| `{name}[ `]", line)]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden and parameter.name != "help":
            assert f"`{parameter.opts[0]}`" in line
    assert command.help


@pytest.mark.parametrize("service", ["api", "edge"])
def test_every_route_stands_there(service: str, tmp_path: Path) -> None:
    app: Litestar = (
        create_api(ApiSettings.load(data_dir=tmp_path))
        if service == "api"
        else create_edge(EdgeSettings.load(data_dir=tmp_path))
    )
    text = (REFERENCE / "http.md").read_text("utf-8")
    for route in app.routes:
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
        if any(path.startswith(generated) for generated in GENERATED):
            continue
        for method in getattr(route, "methods", ()):
            if method not in {"OPTIONS", "HEAD"}:
                assert f"{method} {path}`" in text, f"{method} {path}"
