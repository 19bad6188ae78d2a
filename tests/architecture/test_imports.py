"""Taking one part of mamkit brings that part: no other part, and no third-party package of another part."""

import ast
import sys
from collections.abc import Collection, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.distributions import EXTRAS, brought_by, named_by, owners, third_party
from tests.architecture.sources import APPS, AREAS, LIBRARY, files, importable, loaded_by, module_name, tree

SIBLINGS = {"storage", "signing", "auth", "transcode", "jobs", "catalog", "client"}
"""The areas that never import each other; `previews` joins them and `testing` tests them."""

BACKENDS = {"jobs": {"redis"}, "storage": {"s3"}, "mamkit_apps": {"redis", "s3", "postgres", "telemetry"}}
"""The extras of single backends, by their area; each is loaded by one public module that the area does not import."""

WITHOUT_EXTRAS = ["mamkit", "mamkit.storage", "mamkit.signing", "mamkit.jobs", "mamkit.testing"]
"""What can be imported where nothing but mamkit is installed."""

USED_WHERE_THERE = {"cryptography", "click", "rich", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
"""What clients of servers load by themselves where it happens to be installed; httpx has a command of its own.
Redis looks for the API of OpenTelemetry, whose distributions share one package."""

NAMED = set().union(*(named_by(extra) for extra in EXTRAS))
"""The distributions that pyproject.toml names for any extra."""


@cache
def imports(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return what a file imports anywhere in it."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Import | ast.ImportFrom)]


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a file imports anywhere in it."""
    found = set()
    for node in imports(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif node.module:
            found.add(node.module.partition(".")[0])
    return found


def named_in(path: Path, modules: Collection[str]) -> set[str]:
    """Return which of these modules a file names anywhere in it, for types alone, too."""
    found = set()
    for node in imports(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules else node.module)
    return found & set(modules)


def areas(modules: frozenset[str]) -> set[str]:
    """Return the areas of the library that loaded modules belong to."""
    return {name.split(".")[1] for name in modules if name.startswith("mamkit.")} & set(AREAS)


def test_every_area_has_its_place() -> None:
    """A new folder fails here until it is said what it may import."""
    assert set(AREAS) == SIBLINGS | {"previews", "testing"}


@cache
def named_by_module() -> Mapping[str, set[str]]:
    """Return which other modules each module of the library and of the services names."""
    found = {module_name(path): path for path in files(LIBRARY, APPS)}
    return {name: named_in(path, found) - {name} for name, path in found.items()}


def entry_of(module: str, folder: str) -> str | None:
    """Return the entry of a folder that a module is, or lies in; None for what lies elsewhere."""
    depth = folder.count(".") + 1
    parts = module.split(".")
    return ".".join(parts[: depth + 1]) if parts[:depth] == folder.split(".") else None


def named_within(folder: str, graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return which other entries of a folder each of them names; a folder in it names what any module in it names."""
    found: dict[str, set[str]] = {}
    for module, named in graph.items():
        if (entry := entry_of(module, folder)) is not None:
            others = found.setdefault(entry, set())
            others |= {other for each in named if (other := entry_of(each, folder)) not in {entry, None}}
    return found


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """Return entries each of which is named in the next, the last being the first; none where there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("folder", [module_name(path) for path in files(LIBRARY, APPS) if path.name == "__init__.py"])
def test_no_two_entries_of_a_folder_name_each_other(folder: str) -> None:
    """Nor several in a circle, be they modules or folders: each can be read after those that it names.

    For types alone, or within functions, neither.
    """
    circle = circle_in(named_within(folder, named_by_module()))
    ties = [
        f"{module} names {other}"
        for later, earlier in zip(circle[1:], circle, strict=False)
        for module, named in named_by_module().items()
        for other in named
        if (entry_of(module, folder), entry_of(other, folder)) == (later, earlier)
    ]
    assert ties == []


def test_a_circle_that_only_types_close_is_found(tmp_path: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("from a import second, Name\n")
    second.write_text("if TYPE_CHECKING:\n    from a.third import Name\n\ndef act():\n    import a.first\n")
    modules = {"a", "a.first", "a.second", "a.third"}
    assert named_in(first, modules) == {"a", "a.second"}
    assert named_in(second, modules) == {"a.third", "a.first"}
    assert circle_in({"a.first": {"a.second"}, "a.second": {"a.third", "a.first"}}) in (
        ["a.first", "a.second", "a.first"],
        ["a.second", "a.first", "a.second"],
    )


def test_a_circle_that_only_folders_close_is_found() -> None:
    """No two of these modules name each other."""
    graph = {"a": set(), "a.b": set(), "a.b.routes": {"a.wiring"}, "a.wiring": {"a.b.hub"}, "a.b.hub": {"c.d"}}
    assert circle_in(graph) == []
    assert named_within("a", graph) == {"a": set(), "a.b": {"a.wiring"}, "a.wiring": {"a.b"}}
    assert set(circle_in(named_within("a", graph))) == {"a.b", "a.wiring"}
    assert circle_in(named_within("a.b", graph)) == []


@pytest.mark.parametrize("name", WITHOUT_EXTRAS)
def test_a_bare_installation_can_import_it(name: str) -> None:
    assert third_party(loaded_by(name)) == set()


@pytest.mark.parametrize("area", sorted(SIBLINGS))
def test_an_area_loads_itself_and_its_own_extra(area: str) -> None:
    """All modules of the area together, not only what `__init__` imports."""
    loaded = loaded_by(*importable(LIBRARY / area))
    assert areas(loaded) == {area}
    assert third_party(loaded) & NAMED - USED_WHERE_THERE <= brought_by(area).union(
        *map(brought_by, BACKENDS.get(area, ()))
    )


def test_the_workflow_loads_its_own_extra() -> None:
    assert third_party(loaded_by(*importable(LIBRARY / "previews"))) & NAMED <= brought_by("previews")


@pytest.mark.parametrize("path", sorted((LIBRARY / "testing").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_contract_suite_loads_only_what_it_tests(path: Path) -> None:
    """Whoever tests a store of theirs does not need a database."""
    assert len(areas(loaded_by(module_name(path))) & SIBLINGS) == 1


def test_the_services_load_what_their_extra_brings() -> None:
    backends = set().union(*map(brought_by, BACKENDS["mamkit_apps"]))
    assert third_party(loaded_by(*importable(APPS))) & NAMED <= brought_by("apps") | backends


def test_a_service_that_makes_no_traces_loads_nothing_that_makes_them() -> None:
    loaded = loaded_by("mamkit_apps.api.asgi", "mamkit_apps.worker.main")
    assert "mamkit_apps.tracing" in loaded
    assert not [name for name in loaded if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]


NOT_NEEDED_BY = {
    ("mamkit.storage",): {"asyncio", "ssl"},
    ("mamkit.catalog",): {"alembic", "mako"},
    ("mamkit.transcode",): {"av", "asyncio"},
    ("mamkit_apps.supervisor",): {"litestar", "uvicorn", "httpx", "sqlalchemy", "cryptography", "jwt", "zxcvbn"},
    ("mamkit_apps.edge.asgi",): {"sqlalchemy", "redis", "cryptography", "jwt", "zxcvbn"},
    ("mamkit_apps.api.asgi", "mamkit_apps.worker.main"): {"alembic", "redis", "boto3", "av", "aiosmtplib"},
}
"""What takes long to load, and whoever imports these modules can do without."""


@pytest.mark.parametrize("names", NOT_NEEDED_BY, ids=lambda names: names[0])
def test_nobody_waits_for_what_is_not_needed(names: tuple[str, ...]) -> None:
    assert loaded_by(*names) & NOT_NEEDED_BY[names] == set()


def test_the_edge_knows_no_more_of_the_library_than_it_serves_with() -> None:
    assert areas(loaded_by("mamkit_apps.edge.asgi")) == {"signing", "storage"}


def test_help_loads_what_the_commands_are_called_with_and_no_more() -> None:
    """Every module of the command line, since `--help` tells of all commands."""
    loaded = loaded_by(*importable(APPS / "cli"))
    assert third_party(loaded) == {"click"}
    assert areas(loaded) == set()
    assert "asyncio" not in loaded


@pytest.mark.parametrize("root", [*(LIBRARY / area for area in AREAS), APPS], ids=lambda root: root.name)
def test_only_packages_that_the_extra_names_are_imported(root: Path) -> None:
    """Not those that happen to be installed because another package needs them."""
    ours = {"mamkit", "mamkit_apps", "_typeshed"}  # the last is there for the type checker alone
    packages = set().union(*(imported(path) for path in files(root))) - sys.stdlib_module_names - ours
    named = named_by("apps" if root == APPS else root.name).union(*map(named_by, BACKENDS.get(root.name, ())))
    assert {package for package in packages if not owners(package) & named} == set()
