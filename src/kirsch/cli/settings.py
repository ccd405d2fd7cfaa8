"""`kirsch settings [PATTERN]`: what can be set."""

from __future__ import annotations

import fnmatch
import sys
from typing import TYPE_CHECKING

import click

from kirsch.cli.errors import Failure
from kirsch.config import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kirsch.config import Setting

__all__ = ["command", "details"]


@click.command
@click.argument("pattern", required=False)
def command(pattern: str | None) -> None:
    """Show the settings there are, with their defaults.

    PATTERN is a part of a name, or a pattern with * and ?. A full name shows all that is known of it.
    In a pipe each setting is one line: name, default and sentence, with tabs between them.
    """
    if pattern in SETTINGS:
        for label, text in details(SETTINGS.get(str(pattern))):
            click.echo(f"{label + ':':<12}{text}")
        return
    found = [setting for setting in SETTINGS if pattern is None or _matches(setting.name, pattern)]
    if not found:
        close = SETTINGS.nearest(str(pattern))
        hint = f"Did you mean {close}?" if close else "Without a pattern all are shown."
        raise Failure(f"No setting matches {pattern!r}. {hint}")
    if sys.stdout.isatty():
        _draw(found)
    else:
        for setting in found:
            click.echo(f"{setting.name}\t{setting.kind.show(setting.default)}\t{setting.help}")


def _matches(name: str, pattern: str) -> bool:
    return pattern in name or fnmatch.fnmatchcase(name, pattern)


def _draw(settings: Sequence[Setting]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("Setting", "Default", "What it does")
    for setting in settings:
        # As `Text`: square brackets in a sentence are no markup.
        table.add_row(
            Text(setting.name, style="bold", no_wrap=True),
            Text(setting.kind.show(setting.default) or '""'),
            Text(setting.help),
        )
    Console().print(table)


def details(setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield (label, text) for all that is known of a setting."""
    yield "name", setting.name
    yield "does", setting.help
    yield "takes", setting.kind.expected
    yield "default", setting.kind.show(setting.default) or '""'
    if setting.zero:
        yield "0 means", setting.zero
    if setting.starts:
        yield "starts", setting.starts
    if setting.resets:
        yield "resets", setting.resets
    if setting.precedents:
        yield "elsewhere", "; ".join(f"{who}: {what}" for who, what in setting.precedents)
    yield "variable", setting.variable
    yield "since", setting.since
