"""A headless Chromium, if there is one, told what to do by the Chrome DevTools Protocol (version 1.3)."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

__all__ = ["BROWSERS", "CHROMIUM", "Page", "browsing"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
PATIENCE = 60.0  # seconds for an answer, on a machine that does other things too


class Page:
    """A tab.

    Args:
        connection: To the browser.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def show(self, url: str, *, width: int = 1280, dark: bool = False) -> Self:
        """Load a page into a window so wide (CSS pixels), and wait until it is loaded."""
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])
        self._tell("Page.navigate", url=url)
        loaded = "new Promise(d => document.readyState === 'complete' ? d() : addEventListener('load', () => d()))"
        self.ask(loaded)
        return self

    def ask(self, expression: str) -> Any:
        """Return what an expression of JavaScript gives in the page, or what its promise comes to."""
        told = self._tell("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise AssertionError(told["exceptionDetails"])
        return told["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key, as a person would; `code` is its Windows virtual key code."""
        known: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self._tell("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **known)
        self._tell("Input.dispatchKeyEvent", type="keyUp", **known)

    def _tell(self, method: str, **parameters: Any) -> Any:
        return self._call(method, session=self._session, **parameters)

    def _call(self, method: str, *, session: str | None = None, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return answer["result"]


@contextmanager
def browsing(folder: Path) -> Iterator[Page]:
    """Run a browser with a profile in an empty folder until the block ends."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        try:
            said = iter(process.stderr)
            address = next((line.split()[-1] for line in said if line.startswith("DevTools listening on ")), None)
            assert address is not None, "the browser ended before it listened"
            with connect(address, max_size=None) as connection:
                yield Page(connection)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=PATIENCE)  # reads on: a full pipe would keep it from ending
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
