"""The files in `deploy/`, read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.architecture.sources import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def documents(path: Path) -> list[Any]:
    """Return the documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object for Kubernetes, with its kind and name."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for each in documents(path):
                yield f"{each['kind']} {each['metadata']['name']}", each


def compose() -> dict[str, Any]:
    """Return the composition."""
    [found] = documents(DEPLOY / "compose.yaml")
    assert isinstance(found, dict)
    return found


def app_spec() -> dict[str, Any]:
    """Return the specification of the App Platform."""
    [found] = documents(DEPLOY / "digitalocean" / "app.yaml")
    assert isinstance(found, dict)
    return found


def unit(path: Path) -> list[tuple[str, str]]:
    """Return the settings of a unit, in order."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [(name, value) for name, _, value in (line.partition("=") for line in lines if re.match(r"[A-Z]\w*=", line))]


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]
