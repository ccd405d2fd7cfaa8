from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from kirsch.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_a_module_of_its_name(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, click.Command)
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_help_lists_the_commands_and_imports_none_of_them() -> None:
    script = (
        "import sys; from kirsch.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: status = end.code\n"
        "print(status, [name for name in sys.modules if name.startswith('kirsch.')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *shown, modules = done.stdout.splitlines()
    for name, summary in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary.split()[0] in "\n".join(shown)
    assert modules == "0 ['kirsch._version', 'kirsch.cli']"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("rnu", "There is no command 'rnu'. Did you mean run?"),
        ("zzz", "There is no command 'zzz'. There are run, signal, unit, settings."),
    ],
)
def test_a_slip_of_the_pen_is_told_the_nearest_command(typed: str, hint: str) -> None:
    result = CliRunner().invoke(main, [typed])
    assert result.exit_code == 2
    assert hint in result.output


def test_an_unknown_option_is_an_error_of_usage() -> None:
    result = CliRunner().invoke(main, ["--nope"])
    assert result.exit_code == 2
    assert "--nope" in result.output


def test_a_command_that_does_not_exist_is_none() -> None:
    assert main.get_command(click.Context(main), "nope") is None
