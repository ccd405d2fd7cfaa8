"""Tools whose modules are imported when they are first used: a program pays for those it switches on."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.web.plan import Building
    from kirsch.web.toolbox import Tool, Toolbox

__all__ = ["Late"]


class Late:
    """Stands in a toolbox for a tool until that is used, and is replaced by it then.

    Parameters:
        toolbox: the toolbox.
        name: the name of the tool there.
        module: the module that holds it.
        make: makes the tool from the module.

    It can be used like the tool. Any thread may be the first; all get the same tool.
    """

    def __init__(self, toolbox: Toolbox, name: str, module: str, make: Callable[[Any], Tool]) -> None:
        # Guards the making. Nothing of the program runs while it is held but imports of ours.
        vars(self).update(
            _lock=threading.Lock(), _toolbox=toolbox, _name=name, _module=module, _make=make, _tool=None
        )

    def real(self) -> Tool:
        """Return the tool."""
        own = vars(self)
        with own["_lock"]:
            if own["_tool"] is None:
                toolbox: Toolbox = own["_toolbox"]
                tool: Tool = own["_make"](import_module(own["_module"]))
                tool.name = own["_name"]
                tool.namespace = toolbox.namespace
                if vars(toolbox).get(own["_name"]) is self:
                    setattr(toolbox, own["_name"], tool)
                own["_tool"] = tool
        found: Tool = own["_tool"]
        return found

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Attach the tool to a plan."""
        self.real().attach(building, arguments)

    def __call__(self, *args: object, **kwargs: Any) -> Callable[[Any], Any]:
        """Return a decorator; see `Tool`."""
        return self.real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.real(), name, value)

    def __repr__(self) -> str:
        return repr(self.real())
