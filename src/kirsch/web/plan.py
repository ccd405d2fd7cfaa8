"""Plans: how a resource is answered, compiled once per resource and configuration generation.

Dispatch walks the objects anew for every request, because they may change at run time, and ends with a key:
which attributes it went through, which configuration dicts it met, which function it found. What follows from
the key alone is the plan. A request looks its plan up; it merges no dictionaries and sets up no tools.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from kirsch.http.fields import SharedFields
from kirsch.http.headers import Headers
from kirsch.http.pace import Pace
from kirsch.web.hooks import Hook, Hooks
from kirsch.web.params import Parameters
from kirsch.web.response import DEFAULT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from kirsch.web.request import Request
    from kirsch.web.toolbox import Toolbox

__all__ = ["NO_PLAN", "Building", "Memory", "Plan", "compile_plan"]

T = TypeVar("T")

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods whose paces are kept apart; all others share one, so that invented names take no memory."""


class Memory(Generic[T]):
    """A dictionary of at most twice `size` entries, in two generations: what is asked for stays.

    Owned by nobody: dictionary operations are atomic, and an entry lost to a race is made again.
    """

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[Hashable, T] = {}
        self._old: dict[Hashable, T] = {}

    def get(self, key: Hashable) -> T | None:
        """Return the entry, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: Hashable, value: T) -> None:
        """Keep `value`; the older half is forgotten when there are too many."""
        if len(self._young) >= self._size:
            self._old = self._young
            self._young = {}
        self._young[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._young = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())


class Building:
    """A plan while it is made; what a tool may look at and add to.

    Parameters:
        config: the merged configuration of the resource, flat. Not to be changed.
        slash: whether the path of the request ends with a slash.
    """

    def __init__(self, config: Mapping[str, Any], *, slash: bool) -> None:
        self.config = config
        self.slash = slash
        self.hooks = Hooks()
        """Hooks of every request for the resource."""
        self.headers = Headers.trusted(DEFAULT_FIELDS)
        """Fields every response of the resource begins with."""
        self.error_response: Callable[[], object] | None = None
        """What answers an unexpected error instead of the error page."""
        self.request_settings: dict[str, Any] = {}
        self.response_settings: dict[str, Any] = {}
        self.body_settings: dict[str, Any] = {}
        self.error_pages: dict[str, Any] = {}
        self.toolmaps: dict[str, dict[str, dict[str, Any]]] = {}
        """Arguments by toolbox, tool and name, as configured."""
        self.finishers: list[Callable[[Request], object]] = []
        """Called with every request for the resource once its exchange holds the answer, whatever that is: of
        the handler, an error, a redirect, of the last resort. They may change status and fields there."""
        self.each_time: list[Callable[[], object]] = []
        """Called without arguments for every request, when its configuration is applied."""
        self._told: list[tuple[Callable[[str, Any], object], str, Any]] = []

    def apply(
        self, toolboxes: Mapping[str, Toolbox], namespaces: Mapping[str, Callable[[str, Any], object]]
    ) -> None:
        """Sort the keys of the configuration to those they are for, and let the tools that are on attach."""
        tools: dict[str, list[tuple[str, Any]]] = {name: [] for name in toolboxes}
        for key, value in self.config.items():
            namespace, dot, rest = key.partition(".")
            if not dot:
                continue
            if namespace in tools:
                tools[namespace].append((rest, value))
            elif namespace in _TAKERS:
                _TAKERS[namespace](self, rest, value)
            elif namespace in namespaces:
                self._told.append((namespaces[namespace], rest, value))
        for name, toolbox in toolboxes.items():
            toolbox.attach(self, tools[name])

    def _take_hook(self, name: str, value: Any) -> None:
        callback = pkgutil.resolve_name(value) if isinstance(value, str) else value
        self.hooks.add(name.partition(".")[0], callback if isinstance(callback, Hook) else Hook(callback))

    def _take_request(self, name: str, value: Any) -> None:
        if name.startswith("body."):
            self.body_settings[name.removeprefix("body.")] = value
        elif name != "dispatch":
            # The dispatcher is looked up before there is a plan.
            self.request_settings[name] = value

    def _take_response(self, name: str, value: Any) -> None:
        if name.startswith("headers."):
            self.headers[name.removeprefix("headers.")] = value
        else:
            self.response_settings[name] = value

    def _take_error_page(self, name: str, value: Any) -> None:
        self.error_pages[name] = value

    def told(self) -> tuple[tuple[Callable[[str, Any], object], str, Any], ...]:
        """Return what namespaces of the program are told for every request: handler, key, value."""
        return tuple(self._told)


_TAKERS: Final[dict[str, Callable[[Building, str, Any], None]]] = {
    "hooks": Building._take_hook,  # noqa: SLF001  a table over methods of this module
    "request": Building._take_request,  # noqa: SLF001  as above
    "response": Building._take_response,  # noqa: SLF001  as above
    "error_page": Building._take_error_page,  # noqa: SLF001  as above
}


class Plan:
    """How a resource is answered. Never changed once made, but for its paces; shared by all threads.

    Parameters:
        label: the route pattern, such as `/notes/{*}`; few for any program, so fit for a metric's label.
        parameters: what the handler accepts; None when there is no handler.
        building: everything else.
        kept: objects that the plan's key knows by identity, and that must therefore live as long as it.
    """

    __slots__ = (
        "body_settings",
        "config",
        "each_time",
        "error_pages",
        "error_response",
        "fields",
        "finishers",
        "hooks",
        "kept",
        "label",
        "paces",
        "parameters",
        "plain",
        "request_settings",
        "response_settings",
        "told",
        "toolmaps",
    )

    def __init__(
        self, label: str, parameters: Parameters, building: Building, kept: Iterable[object] = ()
    ) -> None:
        self.label = label
        self.parameters = parameters
        self.config = building.config
        self.hooks = building.hooks
        self.fields = SharedFields(building.headers.items())
        """Fields a response begins with; the same object every time, which the server remembers encoded."""
        self.finishers = tuple(building.finishers)
        self.error_response = building.error_response
        self.error_pages = building.error_pages
        self.request_settings = tuple(building.request_settings.items())
        self.response_settings = tuple(building.response_settings.items())
        self.body_settings = tuple(building.body_settings.items())
        self.toolmaps = building.toolmaps
        self.told = building.told()
        self.each_time = tuple(building.each_time)
        self.plain = not (self.hooks or self.told or self.each_time)
        """Whether nothing but the handler runs."""
        self.kept = tuple(kept)
        self.paces: dict[str, Pace] = {"": Pace()}

    def pace(self, method: str) -> Pace:
        """Return the pace of requests for the resource with `method`."""
        found = self.paces.get(method)
        if found is None:
            if method not in _METHODS:
                return self.paces[""]
            found = self.paces.setdefault(method, Pace())
        return found

    def __repr__(self) -> str:
        return f"<Plan of {self.label}>"


def compile_plan(
    label: str,
    handler: Callable[..., object] | None,
    config: Mapping[str, Any],
    *,
    slash: bool,
    toolboxes: Mapping[str, Toolbox],
    namespaces: Mapping[str, Callable[[str, Any], object]],
    kept: Iterable[object] = (),
) -> Plan:
    """Compile a plan.

    Parameters:
        label: the route pattern.
        handler: the page handler, bound if it is a method; None where the path leads nowhere.
        config: the merged configuration of the resource.
        slash: whether the path of the request ends with a slash.
        toolboxes: toolboxes by namespace.
        namespaces: what programs want to be told for every request, by namespace.
        kept: see `Plan`.

    Raises what the configuration's values raise: ValueError for an unknown hook point or tool, HeaderError
    for a field that must not be sent, TypeError for an argument a tool does not know.
    """
    building = Building(config, slash=slash)
    building.apply(toolboxes, namespaces)
    return Plan(label, Parameters(handler if handler is not None else _nowhere), building, kept)


def _nowhere() -> None:
    """Stand for the handler of a path that leads nowhere."""


NO_PLAN: Final = Plan("", Parameters(_nowhere), Building({}, slash=False))
"""The plan of a request that dispatch has not seen, or has failed on."""
