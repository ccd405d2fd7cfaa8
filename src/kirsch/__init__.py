"""Kirsch: an object-oriented HTTP framework and application server that looks after itself in production.

    import kirsch

    class Root:
        @kirsch.expose
        def index(self):
            return "Hello, world!"

    kirsch.quickstart(Root())

The names here are a thin face over one default set of objects (`kirsch._defaults`); they are made when they
are first asked for, so importing starts nothing and costs little. Three of them, `config`, `server` and
`tools`, are also rooms of the house: `kirsch.config` is the configuration, `from kirsch.config import ...`
reaches the room.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kirsch._version import __version__

if TYPE_CHECKING:
    from kirsch._defaults import (  # noqa: TC004  fetched by `_Name`; for type checkers
        Application,
        config,
        engine,
        log,
        quickstart,
        server,
        tools,
        tree,
        url,
    )
    from kirsch.sessions.proxy import session  # noqa: TC004  as above
    from kirsch.web import dispatch  # noqa: TC004  as above
    from kirsch.web.context import request, response  # noqa: TC004  as above
    from kirsch.web.errors import HTTPError, HTTPRedirect, InternalRedirect, NotFound  # noqa: TC004  as above
    from kirsch.web.expose import expose, popargs  # noqa: TC004  as above
    from kirsch.web.toolbox import Tool  # noqa: TC004  as above

__all__ = [
    "Application",
    "HTTPError",
    "HTTPRedirect",
    "InternalRedirect",
    "NotFound",
    "Tool",
    "__version__",
    "config",
    "dispatch",
    "engine",
    "expose",
    "log",
    "popargs",
    "quickstart",
    "request",
    "response",
    "server",
    "session",
    "tools",
    "tree",
    "url",
]

_HOMES = {
    "_defaults": ("Application", "config", "engine", "log", "quickstart", "server", "tools", "tree", "url"),
    "sessions.proxy": ("session",),
    "web.context": ("request", "response"),
    "web.errors": ("HTTPError", "HTTPRedirect", "InternalRedirect", "NotFound"),
    "web.expose": ("expose", "popargs"),
    "web.toolbox": ("Tool",),
}


class _Name:
    """A public name: fetched from its home at the first use, then kept. May be set, as tests do with `tree`.

    A property and not the `__getattr__` of PEP 562, because importing a room sets its name on the package,
    and three rooms have the name of an object.
    """

    def __init__(self, name: str, home: str) -> None:
        self._name = name
        self._home = home

    def __get__(self, module: ModuleType | None, owner: type | None = None) -> Any:
        if module is None:
            return self
        kept = vars(module)["_kept"]
        if self._name not in kept:
            home = import_module(f"kirsch.{self._home}")
            kept[self._name] = getattr(home, self._name) if self._name != "dispatch" else home
        return kept[self._name]

    def __set__(self, module: ModuleType, value: object) -> None:
        if not (isinstance(value, ModuleType) and value.__name__ == f"kirsch.{self._name}"):
            vars(module)["_kept"][self._name] = value


class _Face(ModuleType):
    """The package as programs see it."""

    def __dir__(self) -> list[str]:
        return sorted({*__all__, *vars(self)})


for _home, _names in _HOMES.items():
    for _name in _names:
        setattr(_Face, _name, _Name(_name, _home))
_Face.dispatch = _Name("dispatch", "web.dispatch")  # type: ignore[attr-defined]  # as the loop above

_kept: dict[str, Any] = {}
sys.modules[__name__].__class__ = _Face
