"""The command line: `kirsch COMMAND`. One module per command, imported when that command is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from kirsch._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS", "main"]

COMMANDS: Mapping[str, str] = {
    "run": "Serve a program: a WSGI callable, a Kirsch application, or objects with pages.",
    "signal": "Tell a running program what to do: reload, restart, stop, scale, status.",
    "unit": "Show systemd files for a program: a hardened service and its socket.",
    "settings": "Show the settings there are, what they mean and their defaults.",
}
"""What each command does, by name: the module of that name in this room has it as `command`.

Written here so that `kirsch --help` imports none of them.
"""


class _Commands(click.Group):
    """The commands of `COMMANDS`, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  the same
        """Return the command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"kirsch.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begins with; for a slip of the pen the error names the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from kirsch.config import nearest

            close = nearest(args[0], COMMANDS)
            hint = f"Did you mean {close}?" if close else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"There is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  the same
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="Kirsch %(version)s")
def main() -> None:
    """Kirsch serves web programs: `kirsch run TARGET`."""
