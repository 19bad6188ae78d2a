"""The source as the tests of this folder look at it."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "mamkit"
APPS = ROOT / "apps" / "mamkit_apps"

AREAS = sorted(folder.name for folder in LIBRARY.iterdir() if (folder / "__init__.py").exists())


def files(*roots: Path) -> list[Path]:
    """Return the Python files under the roots."""
    return sorted(path for root in roots for path in root.rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the name under which a file of the library or of the services is imported."""
    parts = path.relative_to(LIBRARY.parent if path.is_relative_to(LIBRARY) else APPS.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importable(*roots: Path) -> list[str]:
    """Return the modules under the roots, without Alembic's scripts, which only Alembic can load, and `__main__`."""
    return [module_name(path) for path in files(*roots) if "migrations" not in path.parts and path.stem != "__main__"]


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


@cache
def modules() -> list[ModuleType]:
    """Return every module of the library and of the services, imported."""
    return [importlib.import_module(name) for name in importable(LIBRARY, APPS)]


def classes() -> Iterator[type]:
    """Yield the classes that are defined in the library and in the services."""
    for module in modules():
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ == module.__name__:
                yield found


@cache
def loaded_by(*names: str) -> frozenset[str]:
    """Return which modules a fresh interpreter holds after importing these."""
    script = f"import {', '.join(('sys', *names))}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True)
    return frozenset(done.stdout.split())
