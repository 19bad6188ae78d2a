"""`mamkit sign` and `mamkit verify`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mamkit.signing import SignatureInvalidError, SignatureMethodError, SignatureScopeError
from mamkit_apps.cli import cli
from mamkit_apps.settings import ServiceSettings

KEY = "previews/a/720p/segment_00000.m4s"


@pytest.fixture
def data_dir(data_dir: Path) -> Path:
    """The data folder of an installation that has been started."""
    ServiceSettings.load(data_dir=data_dir).ring("edge_signing_key")
    return data_dir


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--data-dir", str(data_dir)])


@pytest.mark.parametrize("carrier", ["path", "query"])
def test_what_is_signed_verifies(data_dir: Path, carrier: str) -> None:
    signed = run(data_dir, "sign", KEY, "--scope", "previews/a/", "--base", "https://e.example/x", "--carrier", carrier)
    shown = run(data_dir, "verify", signed.output.strip())
    assert shown.exit_code == 0, shown.output
    assert {"key": KEY, "scope": "previews/a/", "methods": ["GET", "HEAD"]}.items() <= json.loads(shown.output).items()


def test_what_is_refused_says_why(data_dir: Path) -> None:
    url = run(data_dir, "sign", KEY, "--expires-in", "1h").output.strip()
    for arguments, error in (
        ((url[:-3],), SignatureScopeError),
        ((url.replace("/s/v1.", "/s/v1.x"),), SignatureInvalidError),
        ((url, "--method", "PUT"), SignatureMethodError),
        (("https://e.example/" + KEY,), SignatureInvalidError),
    ):
        done = run(data_dir, "verify", *arguments)
        assert isinstance(done.exception, error)


def test_a_cookie_is_printed_for_the_browser(data_dir: Path) -> None:
    done = run(data_dir, "sign", KEY, "--scope", "previews/a/", "--carrier", "cookie", "--renew-until", "4h")
    assert done.output.startswith("mamkit_grant=v1.")
    assert "Path=/s/previews/a/" in done.output


def test_a_wrong_option_is_named(data_dir: Path) -> None:
    assert "--address" in run(data_dir, "sign", KEY, "--address", "nowhere").output
    assert "10m" in run(data_dir, "sign", KEY, "--expires-in", "soon").output
    assert run(data_dir, "sign", KEY, "--expires-in", "7d").exit_code == 0


def test_a_key_from_the_environment_needs_no_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_dir: Path
) -> None:
    """As on a machine that only signs, or runs only an edge."""
    monkeypatch.setenv("EDGE_SIGNING_KEY", (data_dir / "secrets" / "edge_signing_key").read_text().strip())
    signed = run(tmp_path / "nothing", "sign", KEY)
    assert run(tmp_path / "nothing", "verify", signed.output.strip()).exit_code == 0
    assert not (tmp_path / "nothing").exists()
