"""Tools: one constructor gives a library call, a decorator, a switch and, for some, a page handler.

`tools.NAME.on = True` in the configuration of a resource attaches a tool's hook to it; all other
`tools.NAME.KEY` are keyword arguments of the tool's callable. Tools attach when a plan is compiled, not for
every request.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kirsch.config import nearest
from kirsch.web.errors import NotFound
from kirsch.web.hooks import DEFAULT_PRIORITY, Hook, takes_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kirsch.web.plan import Building
    from kirsch.web.request import Request

__all__ = ["Attachable", "ErrorTool", "HandlerTool", "HandlerWrapperTool", "Tool", "Toolbox", "configure"]

F = TypeVar("F")


class Attachable(Protocol):
    """What may stand in a toolbox: anything that can attach itself to a plan."""

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Add to the plan what the tool does, with its configured arguments."""


def configure(target: F, values: dict[str, Any]) -> F:
    """Add configuration to a handler, a class or an instance, in its `_cp_config`, and return it.

    It gets a dict of its own, so that its base or class keeps what it had.
    """
    own = vars(target).get("_cp_config")
    if own is None:
        own = dict(getattr(target, "_cp_config", {}))
        target._cp_config = own  # type: ignore[attr-defined]  # noqa: SLF001  the attribute dispatch reads
    own.update(values)
    return target


class Tool:
    """A callable at a hook point.

    Parameters:
        point: where it runs; see `kirsch.web.hooks`.
        callable: what runs. If its first parameter is positional-only it gets the request there; all others
            come from configuration by name.
        name: its name in a toolbox; the toolbox sets it if this is None.
        priority: 0 to 100, low first, unless the callable has an attribute `priority` or configuration says
            `tools.NAME.priority`.

    `@tools.NAME(key=value)` switches it on for a handler or a class.
    """

    namespace = "tools"
    """Namespace of the toolbox it is in."""

    def __init__(
        self,
        point: str,
        callable: Callable[..., Any],  # noqa: A002  the name programs read and set
        name: str | None = None,
        priority: float = DEFAULT_PRIORITY,
    ) -> None:
        self.point = point
        self.callable = callable
        self.name = name
        self.priority = priority
        self.__doc__ = callable.__doc__

    @property
    def on(self) -> bool:
        """Not to be read or set here: AttributeError that says where the switch is."""
        raise AttributeError(
            f"a tool is not switched on by an attribute; set '{self.namespace}.{self.name}.on' "
            "in the configuration"
        )

    @on.setter
    def on(self, value: object) -> None:
        del value
        _ = self.on

    def arguments(self) -> tuple[str, ...]:
        """Return the names that can be configured beside `on` and `priority`."""
        try:
            parameters = inspect.signature(self.callable).parameters.values()
        except (TypeError, ValueError):
            return ()
        return tuple(
            one.name for one in parameters if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}
        )

    def __call__(self, *args: object, **kwargs: Any) -> Callable[[F], F]:
        """Return a decorator that switches the tool on with these arguments.

        TypeError for positional ones.
        """
        if args:
            raise TypeError(
                f"the tool {self.name} takes keyword arguments only; "
                f"write @{self.namespace}.{self.name}() above a handler"
            )
        prefix = f"{self.namespace}.{self.name}."
        values = {f"{prefix}on": True, **{f"{prefix}{name}": value for name, value in kwargs.items()}}
        return lambda target: configure(target, values)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Attach the hook. Raises TypeError for an argument the callable does not have."""
        priority = arguments.pop("priority", None)
        self._check(arguments)
        building.hooks.add(self.point, self._hook(priority, arguments))

    def _hook(self, priority: float | None, arguments: dict[str, Any]) -> Hook:
        return Hook(self.callable, None, self._priority(priority), **arguments)

    def _priority(self, configured: float | None) -> float:
        if configured is not None:
            return configured
        own: float = getattr(self.callable, "priority", self.priority)
        return own

    def _check(self, arguments: dict[str, Any]) -> None:
        try:
            signature = inspect.signature(self.callable)
        except (TypeError, ValueError):
            return
        if any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
            return
        known = self.arguments()
        for name in arguments:
            if name not in known:
                close = nearest(name, known)
                hint = f"did you mean {close}?" if close else f"it has {', '.join(known) or 'none'}"
                raise TypeError(f"the tool {self.name} has no argument {name!r}; {hint}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.namespace}.{self.name} at {self.point}>"


class HandlerTool(Tool):
    """A tool that may answer itself: if its callable returns something true, the handler is not called."""

    def __init__(
        self,
        callable: Callable[..., Any],  # noqa: A002  as Tool
        name: str | None = None,
        priority: float = DEFAULT_PRIORITY,
    ) -> None:
        super().__init__("before_handler", callable, name, priority)

    def handler(self, **kwargs: Any) -> Callable[..., Any]:
        """Return a page handler that lets the tool answer, and is a NotFound when it does not."""
        return _ToolPage(self.callable, kwargs)

    def _hook(self, priority: float | None, arguments: dict[str, Any]) -> Hook:
        passes = takes_request(self.callable)

        def run(request: Request, /) -> None:
            answered = self.callable(request, **arguments) if passes else self.callable(**arguments)
            if answered:
                request.handler = None

        failsafe = getattr(self.callable, "failsafe", False)
        return Hook(run, failsafe, self._priority(priority))


class _ToolPage:
    """A tool as a page. No function, as that would become a method of the class it is assigned in."""

    exposed = True
    takes_request = True

    def __init__(self, tool: Callable[..., Any], arguments: dict[str, Any]) -> None:
        self._tool = tool
        self._passes = takes_request(tool)
        self._arguments = arguments
        self.__doc__ = tool.__doc__

    def __call__(self, request: Request, /, *args: str, **params: Any) -> Any:
        """Let the tool answer; the rest of the path and the parameters are its own business."""
        del args, params
        found = self._tool(request, **self._arguments) if self._passes else self._tool(**self._arguments)
        if not found:
            raise NotFound
        return request.response.body


class HandlerWrapperTool(Tool):
    """A tool that is called instead of the handler, with the handler as its first argument.

    Parameters:
        newhandler: called as `newhandler(next_handler, **arguments)`; what it returns is the body.
        point: where the handler is replaced.
        name: as `Tool`.
        priority: as `Tool`.
    """

    def __init__(
        self,
        newhandler: Callable[..., Any],
        point: str = "before_handler",
        name: str | None = None,
        priority: float = DEFAULT_PRIORITY,
    ) -> None:
        super().__init__(point, newhandler, name, priority)
        self.newhandler = newhandler

    def _hook(self, priority: float | None, arguments: dict[str, Any]) -> Hook:
        def run(request: Request, /) -> None:
            inner = request.handler
            request.handler = lambda: self.newhandler(inner, **arguments)

        return Hook(run, False, self._priority(priority))  # noqa: FBT003  Hook's order is fixed by hooks.attach


class ErrorTool(Tool):
    """A tool that answers unexpected errors instead of the error page. Its callable sets the response."""

    def __init__(self, callable: Callable[..., Any], name: str | None = None) -> None:  # noqa: A002  as Tool
        super().__init__("error_response", callable, name)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Set the plan's error response."""
        self._check(arguments)
        building.error_response = lambda: self.callable(**arguments)


class Toolbox:
    """Tools by name, as attributes. Filled while a program is set up, only read while it runs.

    Parameters:
        namespace: the first part of the configuration keys of its tools.

    Setting an attribute to a tool adds it under that name.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tool):
            if value.name is None:
                value.name = name
            value.namespace = self.namespace
        object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the tools."""
        return (name for name, value in vars(self).items() if callable(getattr(value, "attach", None)))

    def register(
        self, point: str, name: str | None = None, priority: float = DEFAULT_PRIORITY
    ) -> Callable[[F], F]:
        """Return a decorator that makes a function a tool of this box, and leaves the function as it is.

        Parameters:
            point: where it runs.
            name: its name; else the function's.
            priority: 0 to 100, low first.
        """

        def decorate(function: F) -> F:
            setattr(self, name or function.__name__, Tool(point, function, name, priority))  # type: ignore[attr-defined, arg-type]  # a function
            return function

        return decorate

    def attach(self, building: Building, items: Iterable[tuple[str, Any]]) -> None:
        """Attach the tools that are on to a plan, in the order of their first key.

        Parameters:
            building: the plan.
            items: configuration keys without the namespace, `("gzip.on", True)`, and their values.

        Raises ValueError for a tool that is on and does not exist.
        """
        toolmap = building.toolmaps.setdefault(self.namespace, {})
        for key, value in items:
            name, _, argument = key.partition(".")
            toolmap.setdefault(name, {})[argument] = value
        for name, arguments in toolmap.items():
            if not arguments.get("on"):
                continue
            tool = vars(self).get(name)
            if tool is None:
                close = nearest(name, tuple(self))
                hint = (
                    f"did you mean {self.namespace}.{close}.on?" if close else f"there are {', '.join(self)}"
                )
                raise ValueError(f"'{self.namespace}.{name}.on' is set, but there is no such tool; {hint}")
            tool.attach(building, {key: value for key, value in arguments.items() if key != "on"})
