"""Starting this command again as another process, and what such a process is told.

A child is started with the arguments this command was given, behind one hidden option whose value is JSON:
the descriptors it inherits, and what else it has to know.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["INHERITS", "Inherited", "again", "inherited"]

INHERITS = os.name == "posix"
"""Whether a child process can be given sockets by their descriptors."""


_HIDDEN = ("--reload-child", "--worker", "--takeover")
"""Options for processes of our own alone; they come first."""


class Inherited(NamedTuple):
    """What a child has been given."""

    sockets: tuple[int, ...]
    """Descriptors of the listening sockets."""
    link: int
    """Descriptor of the socket that leads to its parent."""
    paths: tuple[str, ...] = ()
    """Paths of those sockets that are to be removed at the end, "" where there is none."""

    @property
    def binds(self) -> tuple[str, ...]:
        """The sockets as `server.bind` names them."""
        return tuple(f"fd:{number}" for number in self.sockets)

    @property
    def owned(self) -> tuple[tuple[int, str], ...]:
        """Descriptor and path of each socket."""
        paths = self.paths or ("",) * len(self.sockets)
        return tuple(zip(self.sockets, paths, strict=True))


def again(arguments: Sequence[str], option: str, **told: Any) -> list[str]:
    """Return the command line that runs `kirsch run` with `arguments` as a child.

    Parameters:
        arguments: those of `kirsch run`, as they were given.
        option: the hidden option.
        told: the fields of `Inherited`.

    It is the command line this process was started with, with options of the interpreter, if that can be
    known.
    """
    count = len(sys.argv) - 1
    start = sys.orig_argv[1 : len(sys.orig_argv) - count]
    if not start or sys.orig_argv[len(sys.orig_argv) - count :] != sys.argv[1:]:
        start = ["-m", "kirsch"]
    return [sys.executable, *start, "run", option, json.dumps(told), *_without_hidden(arguments)]


def _without_hidden(arguments: Sequence[str]) -> list[str]:
    """Return `arguments` without what this process was told itself; its children are told their own."""
    given = list(arguments)
    return given[2:] if given[:1] and given[0] in _HIDDEN else given


def inherited(option: str, text: str) -> Inherited:
    """Return what the value of a hidden option says; an error of usage for anything else."""
    try:
        told = json.loads(text)
        sockets, link, paths = told["sockets"], told["link"], told.get("paths", ())
        return Inherited(tuple(map(int, sockets)), int(link), tuple(map(str, paths)))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise click.UsageError(f"{option} is for processes that `kirsch run` starts itself.") from None
