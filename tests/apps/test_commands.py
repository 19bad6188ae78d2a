"""The list of commands, which names them before their modules are imported."""

import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mamkit_apps import cli
from mamkit_apps.cli import _MODULES


def test_every_command_of_every_module_is_listed() -> None:
    found = {path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py")}
    assert found == _MODULES.keys()
    for module, names in _MODULES.items():
        assert {command.name for command in import_module(f"mamkit_apps.cli.{module}").commands} == set(names), module


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
