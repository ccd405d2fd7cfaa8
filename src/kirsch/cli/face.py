"""The default objects of the package, `kirsch.tree`, `kirsch.engine` ..., if the program uses them.

They stand on the floor above, so nothing here imports them: they are looked up among what is loaded. A
program that does without them, Flask say, does not pay for them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kirsch.bus import Engine
    from kirsch.web import Tree

__all__ = ["Face", "face"]

_HOME = "kirsch._defaults"


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


def face() -> Face | None:
    """Return the default objects as they are now; None when the program has not used any."""
    if _HOME not in sys.modules:
        return None
    package: Any = sys.modules["kirsch"]
    return Face(package.tree, package.engine, package.log, package.server)
