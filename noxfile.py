"""The one list of checks: `uv run nox` runs all of them, as CI does; `uv run nox -s tests -- -k jobs` one of them.

The sessions use the environment that nox itself runs in, which `uv run` makes from pyproject.toml, and install into it
what the checks need beyond what the services need.
"""

import functools
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "imports", "tests", "docs", "package"]

ROOT = Path(__file__).parent
PYPROJECT = ROOT / "pyproject.toml"
BIN = Path(sys.executable).parent
# However it was installed: beside nox, by the `uv run` that started nox, or on the path.
UV = [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else [os.environ.get("UV", "uv")]

# What each extra is for. In the bare installation these modules say which extra they need.
SERVED_BY = {
    "s3": "mamkit.storage.s3",
    "auth": "mamkit.auth",
    "transcode": "mamkit.transcode",
    "jobs": "mamkit.jobs.sql",
    "redis": "mamkit.jobs.redis",
    "catalog": "mamkit.catalog",
    "postgres": "mamkit.catalog",
    "client": "mamkit.client",
    "previews": "mamkit.previews",
    "testing": "mamkit.testing.jobs",
    "apps": "mamkit_apps.cli",
    "telemetry": "mamkit_apps.tracing.outbox",
}
SERVED = "apps,postgres,redis,s3,telemetry"  # what a server has, of a site that is more than one machine
BARE = ["mamkit.storage", "mamkit.signing", "mamkit.jobs", "mamkit.testing"]


EACH_SAYS_ITS_EXTRA = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        assert "pip install 'mamkit[" in str(error), f"{name} does not say which extra it needs: {error}"
    else:
        raise SystemExit(f"{name} was imported without its extra")
"""


@functools.cache
def install_tools() -> None:
    """Install the group `dev`, once a run; `uv run` alone leaves it out, since it is large."""
    subprocess.run([*UV, "--quiet", "sync", "--inexact", "--group", "dev"], cwd=ROOT, check=True)


def run(session: nox.Session, *command: str, **env: str) -> None:
    """Run a command of the environment that nox runs in."""
    install_tools()
    session.run(str(BIN / command[0]), *command[1:], env=env, external=True)


def uv(session: nox.Session, *arguments: str) -> None:
    """Run uv."""
    session.run(*UV, "--quiet", *arguments, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style, likely mistakes, format."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Types, strict, of the library, the services, the tests, the benchmarks and the examples."""
    run(session, "mypy")
    for script in sorted((ROOT / "examples").glob("*/*.py")):  # one at a time: they are scripts, and share names
        run(session, "mypy", str(script), MYPYPATH=str(script.parent))  # which may import the one beside it


@nox.session(venv_backend="none")
def imports(session: nox.Session) -> None:
    """The layers: who may import whom."""
    run(session, "lint-imports")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, a process for each core; the summary lists every skipped one with its reason.

    Arguments after `--` go to pytest; `-n 0` runs the tests in one process.
    """
    # The tests of a module share what it has built. Beyond four processes, the servers that each starts cost more.
    spread = ["--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
    run(session, "python", "-m", "pytest", *spread, *session.posargs)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """The documentation builds without a warning and loads nothing from elsewhere; a folder after `--` keeps it."""
    with tempfile.TemporaryDirectory() as nowhere:
        [site] = session.posargs or [nowhere]
        # The variable silences advertising, which is not a warning about these pages.
        run(session, "mkdocs", "build", "--strict", "--site-dir", site, NO_MKDOCS_2_WARNING="1")
        for page in Path(site).rglob("*.html"):
            if found := re.search(r'<(?:script|img|iframe)\b[^>]+src="(?:https?:)?//[^"]*', page.read_text("utf-8")):
                session.error(f"{page.relative_to(site)} loads from elsewhere: {found[0]}")


@nox.session(venv_backend="none")
def package(session: nox.Session) -> None:
    """The wheel, made from the source archive, works as it is and with each extra alone."""
    project = nox.project.load_toml(PYPROJECT)
    if set(project["project"]["optional-dependencies"]) != set(SERVED_BY):
        session.error("SERVED_BY in noxfile.py must say what each extra is for")
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        pins.write_text("\n".join(project["tool"]["uv"]["constraint-dependencies"]))
        uv(session, "build", "--out-dir", folder, str(ROOT))
        [wheel] = Path(folder).glob("*.whl")
        for extra in ["", *SERVED_BY]:
            python = str(Path(folder, f"venv-{extra}", "bin", "python"))
            uv(session, "venv", "--python", sys.executable, str(Path(folder, f"venv-{extra}")))
            wanted = f"mamkit[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
            uv(session, "pip", "install", "--python", python, "--constraints", str(pins), wanted)
            modules = [SERVED_BY[extra]] if extra else BARE
            session.run(python, "-I", "-c", f"import {', '.join(modules)}", external=True)
            if not extra:
                session.run(python, "-I", "-c", EACH_SAYS_ITS_EXTRA, *SERVED_BY.values(), external=True)
        session.run(str(Path(folder, "venv-apps", "bin", "mamkit")), "--help", external=True, silent=True)


@nox.session(venv_backend="none", default=False)
def bench(session: nox.Session) -> None:
    """All benchmarks, on a machine that does nothing else, and docs/performance.md from what they say.

    After `--`: `--quick`, and names of benchmarks for those alone; the others' tables stay as they are.
    """
    run(session, "python", "-m", "benchmarks", *session.posargs)


@nox.session(venv_backend="none", default=False)
def reference(session: nox.Session) -> None:
    """Write docs/reference/settings.md and operations.md, from the classes and from the API's OpenAPI document."""
    run(session, "python", "-m", "tests.docs.reference_pages")


@nox.session(venv_backend="none", default=False)
def changelog(session: nox.Session) -> None:
    """Join the files of changes/ in CHANGELOG.md, under the version after `--`; without one, only show them."""
    version = session.posargs
    run(
        session,
        "towncrier",
        "build",
        *(["--yes", "--version", *version] if version else ["--draft", "--version", "next"]),
    )


@nox.session(venv_backend="none", default=False)
def audit(session: nox.Session) -> None:
    """No version that is pinned for an installation has a known vulnerability; says so where nobody can be asked."""
    with tempfile.TemporaryDirectory() as folder:
        installed = _installation(session, Path(folder))
        command = [
            str(BIN / "pip-audit"),
            "--format",
            "json",
            "--progress-spinner",
            "off",
            "--no-deps",
            "--disable-pip",
        ]
        done = subprocess.run([*command, "--requirement", str(installed)], capture_output=True, text=True, check=False)
    if not done.stdout:
        session.warn(f"NOT CHECKED, nobody could be asked: {done.stderr.strip().splitlines()[-1:]}")
        return
    found = json.loads(done.stdout)["dependencies"]
    unknown = [each["name"] for each in found if "skip_reason" in each]
    if unknown:
        session.warn(f"NOT CHECKED, whoever was asked does not know them: {', '.join(unknown)}")
    bad = {f"{each['name']} {each['version']}: {bug['id']}" for each in found for bug in each.get("vulns", [])}
    if bad:
        session.error(f"known vulnerabilities: {', '.join(sorted(bad))}")
    session.log(f"{len(found) - len(unknown)} distributions have no known vulnerability")


@nox.session(venv_backend="none", default=False)
def release(session: nox.Session) -> None:
    """Wheel, source archive and list of parts (CycloneDX) of a version in dist/, which must be a tagged one."""
    dist = ROOT / "dist"
    if dist.exists() and any(dist.iterdir()):
        session.error("dist/ must be empty")
    uv(session, "build", "--out-dir", str(dist), str(ROOT))
    [wheel] = dist.glob("*.whl")
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as folder:
        python = _installation(session, Path(folder), wheel=wheel).parent / "venv" / "bin" / "python"
        parts = dist / f"mamkit-{version}.cdx.json"
        run(
            session,
            "cyclonedx-py",
            "environment",
            "--of",
            "JSON",
            "--output-reproducible",
            "-o",
            str(parts),
            str(python),
        )
    listed = json.loads(parts.read_text("utf-8"))
    for component in listed["components"]:  # where the wheel lay on this machine is nobody's business
        found = component.get("externalReferences", [])
        component["externalReferences"] = [each for each in found if not each["url"].startswith("file:")]
    parts.write_text(json.dumps(listed, indent=1), "utf-8")
    if "dev" in version and "--any" not in session.posargs:
        session.error(f"{version} is no release: tag the commit first (or say --any, to try)")


def _installation(session: nox.Session, folder: Path, wheel: Path | None = None) -> Path:
    """Install all that a server needs, at the pinned versions, in `folder`/venv; return the list of the others."""
    install_tools()
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(nox.project.load_toml(PYPROJECT)["tool"]["uv"]["constraint-dependencies"]))
    python = str(folder / "venv" / "bin" / "python")
    uv(session, "venv", "--python", sys.executable, str(folder / "venv"))
    wanted = f"mamkit[{SERVED}] @ {(wheel or ROOT).as_uri()}"
    uv(session, "pip", "install", "--python", python, "--constraints", str(pins), wanted)
    names = subprocess.run(
        [*UV, "pip", "freeze", "--python", python], capture_output=True, text=True, check=True
    ).stdout
    installed = folder / "installed.txt"
    installed.write_text("\n".join(line for line in names.splitlines() if not line.startswith(("mamkit", "-e"))))
    return installed


@nox.session(venv_backend="none", default=False)
def corpus(session: nox.Session) -> None:
    """Write docs/reference/corpus.md from a folder of media, named after `--`: what becomes of each file."""
    run(session, "python", "-m", "tests.media.corpus_table", *session.posargs, "docs/reference/corpus.md")


@nox.session(venv_backend="none", default=False)
def pins(session: nox.Session) -> None:
    """Write the versions that are installed here into pyproject.toml, the one place from which uv reads them."""
    versions = {
        re.sub(r"[-_.]+", "-", found.name).lower(): found.version for found in importlib.metadata.distributions()
    }
    lines = [f'    "{name}=={version}",\n' for name, version in sorted(versions.items()) if name != "mamkit"]
    block = f"constraint-dependencies = [\n{''.join(lines)}]\n"
    text = re.sub(r"(?ms)^constraint-dependencies = \[.*?^\]\n", "", PYPROJECT.read_text())
    PYPROJECT.write_text(text.replace("\n[tool.uv]\n", f"\n[tool.uv]\n{block}"))
    uv(session, "lock", "--dry-run")  # they also fit together for the other Pythons and platforms
    session.log(f"pinned {len(lines)} distributions")
