"""The list of commands, which names them before their modules are imported."""

from importlib import import_module
from pathlib import Path

from mamkit_apps import cli
from mamkit_apps.cli import _MODULES


def test_every_command_of_every_module_is_listed() -> None:
    found = {path.stem for path in Path(cli.__file__).parent.glob("[!_]*.py")}
    assert found == _MODULES.keys()
    for module, names in _MODULES.items():
        assert {command.name for command in import_module(f"mamkit_apps.cli.{module}").commands} == set(names), module
