"""The list of commands, which names them before their modules are imported."""

import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from mamkit.clock import utc_now
from mamkit.ids import uuid7
from mamkit.signing import Grant, KeyRing, UrlSigner
from mamkit_apps import cli
from mamkit_apps.cli import _MODULES
from tests.apps.conftest import PASSWORD


def test_every_command_of_every_module_is_listed() -> None:
    found = {path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py")}
    assert found == _MODULES.keys()
    for module, names in _MODULES.items():
        assert {command.name for command in import_module(f"mamkit_apps.cli.{module}").commands} == set(names), module


@pytest.mark.parametrize(
    ("command", "url", "token"),
    [
        *(("ls", url, "mka1_x") for url in ("notaurl", "ftp://x", "http://", "http://[::1", "http://a:b")),
        ("ls", "http://127.0.0.1", "schlüssel"),
        ("ls", "http://127.0.0.1", "two\nlines"),
        ("sign previews/a --base http://[::1", "", ""),
        ("verify http://[::1/s/x", "", ""),
    ],
)
def test_what_is_no_url_and_no_key_is_told_before_anything_is_asked(
    command: str, url: str, token: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del elsewhere
    monkeypatch.setenv("API_URL", url or "http://127.0.0.1")
    monkeypatch.setenv("MAMKIT_TOKEN", token)
    refused = CliRunner().invoke(cli.cli, command.split())
    assert refused.exit_code == 2, refused.output
    assert "Error: " in refused.output


def test_the_list_of_commands_says_of_each_in_one_whole_line_what_it_does() -> None:
    """As it is shown in 80 columns."""
    listed = CliRunner().invoke(cli.cli, ["--help"], env={"COLUMNS": "80"}).output.partition("Commands:\n")[2]
    assert len(listed.splitlines()) == sum(map(len, _MODULES.values()))
    assert "..." not in listed


GIVEN = ("", "nonsense", "A" * 20_000, "two\nlines\x01", "-1")

TAKING_ONE = (
    "backup", "db downgrade", "db upgrade", "import", "jobs retry", "open", "previews rebuild", "probe", "restore",
    "sign --base x", "upload", "user disable", "user key", "verify",
)  # fmt: skip
"""Commands that take an argument, and can do nothing with those."""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in; what a command does with signals is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAMKIT_TOKEN", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


ON_AN_INSTALLATION = (
    "backup there", "db downgrade base --yes", "gc", "jobs cancel {id}", "jobs drop {id}", "jobs list",
    "jobs retry {id}", "jobs show {id}", "previews rebuild {id}", "secrets rotate", "secrets rotate --retire",
    "sign previews/a", "user add ada@example.com --password-stdin", "user disable ada@example.com",
    "user enable ada@example.com", "user grant ada@example.com admin", "user key ada@example.com", "user list",
    "user password ada@example.com --password-stdin", "user revoke ada@example.com admin", "verify {url}", "worker",
)  # fmt: skip
"""Commands that are about an installation that is there. In the wrong folder they are to say so, and to make nothing:
a new key signs what no edge serves, and a new account logs in nowhere."""


@pytest.mark.parametrize("command", ON_AN_INSTALLATION)
def test_in_the_wrong_folder_a_command_names_it_and_what_to_do_and_makes_nothing(
    command: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grant = Grant(scope="previews/a", expires_at=utc_now() + timedelta(hours=1))
    url = UrlSigner(KeyRing.generate()).url("https://edge.example.com", grant, "previews/a")
    monkeypatch.setattr(sys, "argv", ["mamkit", *command.format(id=uuid7(), url=url).split()])
    monkeypatch.setattr(sys, "stdin", StringIO(PASSWORD + "\n"))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    [said] = capsys.readouterr().err.splitlines()
    assert f"in {elsewhere / '.mamkit'}; " in said
    assert said.endswith("mamkit up --data-dir .mamkit")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: repr(given[:10]))
@pytest.mark.parametrize("command", TAKING_ONE)
def test_a_wrong_argument_gives_one_line_that_can_be_read(
    command: str, given: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del elsewhere
    monkeypatch.setattr(sys, "argv", ["mamkit", *command.split(), given])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in {1, 2}
    said = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith(("Usage:", "Try "))]
    assert len(said) == 1
    assert 10 < len(said[0]) <= cli.LONGEST + 100
    assert said[0].isprintable()
