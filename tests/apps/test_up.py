"""`mamkit up`: everyday use on one machine."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from mamkit_apps.cli import cli
from tests.apps.conftest import PASSWORD
from tests.apps.test_demo import MAMKIT, failed_clearly, run, survivors


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `mamkit up` in a folder until the block ends; give the process and the API's URL."""
    port = free_port()
    process = subprocess.Popen(
        [*MAMKIT, "up", "--api-port", str(port), "--edge-port", "0"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_the_first_start_makes_secrets_and_the_second_finds_everything_again(tmp_path: Path) -> None:
    with up(tmp_path) as (process, url):
        added = run(
            "user", "add", "--role", "admin", "--password-stdin", "ada@example.com", cwd=tmp_path, input=PASSWORD + "\n"
        )
        assert added.returncode == 0, added.stderr
        first = httpx.post(f"{url}/auth/login", json={"email": "ada@example.com", "password": PASSWORD}).json()
        stranger = httpx.post(f"{url}/auth/register", json={"email": "eve@example.com", "password": PASSWORD})
        assert stranger.status_code == 403
    assert process.returncode == 0
    assert survivors(str(tmp_path)) == []
    made = sorted((tmp_path / ".mamkit" / "secrets").iterdir())
    assert len(made) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / ".mamkit", made[0].parent)} == {0o700}
    before = [path.read_text() for path in made]
    with up(tmp_path) as (_, url):
        me = httpx.get(f"{url}/auth/me", headers={"authorization": f"Bearer {first['access_token']}"})
        assert me.json()["email"] == "ada@example.com"
    assert [path.read_text() for path in made] == before


def test_a_port_in_use_gives_one_clear_line_and_starts_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in ("--api-port", "--edge-port"):
            other = "--edge-port" if option == "--api-port" else "--api-port"
            line = failed_clearly(run("up", option, str(port), other, "0", cwd=tmp_path, timeout=30))
            assert str(port) in line
    assert survivors(str(tmp_path)) == []


def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path) -> None:
    for name, value in {"SIGN_MIN_SECONDS": "soon", "DATABASE_URL": "nonsense", "JWT_SECRET": "short"}.items():
        environment = os.environ | {name: value}
        if name == "DATABASE_URL":
            environment |= {"EDGE_SIGNING_KEY": "x" * 40, "JWT_SECRET": "x" * 40, "CALLBACK_SECRET": "x" * 40}
        line = failed_clearly(run("api", cwd=tmp_path, timeout=30, env=environment))
        assert name in line, line


def test_all_services_together_say_it_once(tmp_path: Path) -> None:
    environment = os.environ | {"EVENT_DAYS": "soon"}
    line = failed_clearly(run("up", "--api-port", "0", "--edge-port", "0", cwd=tmp_path, timeout=30, env=environment))
    assert "EVENT_DAYS" in line


@pytest.mark.parametrize("words", [["user", "list"], ["user", "key", "a@b.c"], ["jobs", "list"], ["gc"]], ids=" ".join)
def test_a_command_in_the_wrong_folder_says_so_and_makes_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert f"there is no installation in {tmp_path}/.mamkit" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_is_only_read_when_the_api_starts_gives_one_line_too(tmp_path: Path) -> None:
    environment = os.environ | {"OIDC_PROVIDERS": "nonsense", "PORT": "0"}
    assert "OIDC_PROVIDERS" in failed_clearly(run("api", cwd=tmp_path, timeout=30, env=environment))


def test_a_service_that_dies_ends_the_rest_with_one_line(tmp_path: Path) -> None:
    with up(tmp_path) as (process, _):
        workers = [
            pid
            for pid in survivors(str(tmp_path))
            if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        ]
        assert len(workers) == 1
        os.kill(workers[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.returncode == 1
        assert process.stderr is not None
        assert "worker" in process.stderr.read().splitlines()[-1]
    assert survivors(str(tmp_path)) == []


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """`mamkit --help` answers without importing a web framework, a database driver or FFmpeg."""
    assert loaded(tmp_path, ["--help"], {"litestar", "av", "sqlalchemy", "uvicorn"}) == "[]"


def test_a_command_of_one_part_does_not_load_the_services_settings(tmp_path: Path) -> None:
    assert loaded(tmp_path, ["transcode", "--help"], {"pydantic", "pydantic_settings", "rich", "av"}) == "[]"


def loaded(folder: Path, arguments: list[str], names: set[str]) -> str:
    """Return which of some modules a command line has imported."""
    code = (
        "import sys; from mamkit_apps.cli import cli; "
        f"cli.main({arguments!r}, standalone_mode=False); print(sorted({names!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return result.stdout.splitlines()[-1]
