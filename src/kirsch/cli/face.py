"""The default objects of the package, `kirsch.tree`, `kirsch.engine` ..., if the program may use them.

They stand on the floor above, so nothing here imports them: they are asked of the package. A program that
does without the framework, with Flask say, does not pay for them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kirsch.bus import Engine
    from kirsch.server import Server
    from kirsch.web import Tree

__all__ = ["Face", "face"]

_SIGNS = ("kirsch.web", "kirsch._defaults")
"""Modules that show, when they are loaded, that the program uses the framework or its default objects."""


@dataclass(frozen=True, slots=True)
class Face:
    """The default objects.

    Parameters:
        tree: `kirsch.tree`.
        engine: `kirsch.engine`.
        log: `kirsch.log`.
        server: `kirsch.server`; not the server of this command.
    """

    tree: Tree
    engine: Engine
    log: Any
    server: Any

    def step_back(self) -> None:
        """Take the listeners of `log` and `server` off the bus: this command does their work."""
        for channel, listeners in self.engine.listeners.items():
            for listener in listeners:
                owner = getattr(listener.callback, "__self__", None)
                if owner is self.log or owner is self.server:
                    self.engine.unsubscribe(channel, listener.callback)
        self.log.remove_handlers()

    def served_by(self, server: Server) -> None:
        """Have `server` tell the program where it is found: its own is the one that runs now."""
        self.server.instance = server


def face() -> Face | None:
    """Return the default objects as they are now; None when the program uses nothing of the framework.

    A program whose pages use `kirsch.engine` only once they are called must find the bus of this command
    there, so the framework counts as much as the objects.
    """
    if not any(name in sys.modules for name in _SIGNS):
        return None
    package: Any = sys.modules["kirsch"]
    return Face(package.tree, package.engine, package.log, package.server)
