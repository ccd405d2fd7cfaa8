"""From a path to a page handler: the walk along the attributes of the root.

Each segment of the path is an attribute of the object before it, and at the end stands a hidden `index`. The
walk goes as far as there are attributes; then the search goes back to the nearest object that is exposed, or
has an exposed `default`, and the segments behind it become its positional arguments.

The walk is done for every request, so objects may change while they are served. It touches nothing but
attributes and ends with a key for the plan (`kirsch.web.plan`).
"""

from __future__ import annotations

import string
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from kirsch.http.urls import decode_segments
from kirsch.web.errors import KirschError
from kirsch.web.expose import PopArgs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kirsch.web.request import Request

__all__ = ["DispatchError", "Dispatcher", "Finder", "Found", "Path"]

_CALL: Final = "__call__"
"""Looked up on a class: whether its instances are called by a function of Python."""

_TRANSLATION: Final = str.maketrans(string.punctuation, "_" * len(string.punctuation))


class DispatchError(KirschError):
    """A `_cp_dispatch` broke its contract; the program is at fault."""


class Path:
    """The path of a request below its application, taken apart.

    Immutable, and shared by requests for the same path.

    Parameters:
        script_name: the path of the application, decoded, without a slash at its end.
        rest: the path below it, still percent-encoded; empty or with a slash at its start.
    """

    __slots__ = ("memo", "names", "script_name", "segments", "slash", "text", "translation")

    def __init__(self, script_name: str, rest: str) -> None:
        self.script_name = script_name
        every = decode_segments(rest) if rest else []
        self.segments = tuple(filter(None, every))
        """The segments, decoded, without empty ones."""
        self.slash = bool(every) and not every[-1]
        """Whether it ends with a slash."""
        shown = [segment.replace("/", "%2F") for segment in self.segments]
        self.text = f"/{'/'.join(shown)}{'/' if self.slash and shown else ''}" if rest else ""
        """The path, decoded, without double slashes; a slash that was encoded is `%2F`."""
        self.translation: dict[int, str] | None = None
        self.names: tuple[str, ...] = ()
        self.memo: Any = None
        """What was found last, for whoever found it to see whether it still holds."""

    def attributes(self, translation: dict[int, str]) -> tuple[str, ...]:
        """Return the attribute names of the segments, and the hidden `index`."""
        if self.translation is not translation:
            # Two threads may both come here; they store the same.
            self.names = (*(segment.translate(translation) for segment in self.segments), "index")
            self.translation = translation
        return self.names


class Found(NamedTuple):
    """What a dispatcher found."""

    handler: Any
    """The page handler, None for a path that leads nowhere."""
    args: tuple[str, ...]
    """Segments it gets by position."""
    is_index: bool | None
    """See `Request.is_index`."""
    key: tuple[object, ...]
    """Equal for requests that are answered by the same plan; knows objects by identity."""
    label: str
    """The route pattern below the application; empty for a path that leads nowhere."""
    layers: list[tuple[str, Mapping[str, Any]]]
    """Configuration from the root downwards, each with the path it belongs to; does not hold the global
    one."""
    trace: Trace | None = None
    """How to see that a later walk finds the same; None where that takes a whole walk."""


class Finder(Protocol):
    """A dispatcher."""

    def find(self, request: Request, sections: Mapping[str, Mapping[str, Any]]) -> Found:
        """Find what answers `request`, for an application whose configuration by path is `sections`.

        May raise HTTPError and HTTPRedirect, which answer the request.
        """


class Trace:
    """One walk in few facts, so that the next along the same path is compared with it instead of done anew.

    Made for walks along plain attributes only, by far the most. `follow` looks at everything that could have
    changed what the walk finds: attributes that were there, those that were not, `exposed`, `default`, and
    which dicts the configuration came from. Immutable.

    Parameters:
        root: the root.
        config: the configuration dict of the root.
        steps: for each attribute, its name, the object or for a method its function, whether it is a method,
            and the dict of its configuration.
        missing: the attributes at the end that must not be there.
        passed: how many objects lie behind the page.
        default: the function of the `default` that is the page; None where the object itself is.
        default_config: the dict of its configuration.
    """

    __slots__ = ("config", "default", "default_config", "missing", "passed", "root", "steps")

    def __init__(
        self,
        root: object,
        config: object,
        steps: tuple[tuple[str, object, bool, object], ...],
        missing: tuple[str, ...],
        passed: int,
        default: FunctionType | None,
        default_config: object,
    ) -> None:
        self.root = root
        self.config = config
        self.steps = steps
        self.missing = missing
        self.passed = passed
        self.default = default
        self.default_config = default_config

    def follow(self, root: Any) -> Any:
        """Return the page handler if the walk from `root` still ends there, else None."""
        if root is not self.root or getattr(root, "_cp_config", None) is not self.config:
            return None
        node = root
        nodes = [root]
        for name, expected, is_method, config in self.steps:
            node = getattr(node, name, None)
            if is_method:
                if type(node) is not MethodType or node.__func__ is not expected:
                    return None
                if expected.__dict__.get("_cp_config") is not config:
                    return None
            elif node is not expected or getattr(node, "_cp_config", None) is not config:
                return None
            nodes.append(node)
        for name in self.missing:
            if getattr(node, name, None) is not None:
                return None
        return self._page(nodes)

    def _page(self, nodes: list[Any]) -> Any:
        for _ in range(self.passed):
            passed = nodes.pop()
            if getattr(passed, "exposed", False) or getattr(passed, "default", None) is not None:
                return None
        page = nodes[-1]
        if self.default is not None:
            return self._default(page)
        if type(page) is MethodType:
            facts = page.__func__.__dict__
            return page if facts.get("exposed") and "default" not in facts else None
        exposed = getattr(page, "exposed", False) and getattr(page, "default", None) is None
        return page if exposed else None

    def _default(self, owner: Any) -> Any:
        page = getattr(owner, "default", None)
        if type(page) is not MethodType or page.__func__ is not self.default:
            return None
        facts = page.__func__.__dict__
        if not facts.get("exposed") or facts.get("_cp_config") is not self.default_config:
            return None
        return page


class _Node(NamedTuple):
    """An object the walk came to."""

    value: Any
    depth: int
    """Segments used up to here."""
    label: str


class Dispatcher:
    """The default dispatcher.

    Parameters:
        dispatch_method_name: the attribute that is asked for children that are no attributes.
        translate: maps characters of a segment to those of an attribute's name, as `str.translate` does.
    """

    def __init__(
        self,
        dispatch_method_name: str = "_cp_dispatch",
        translate: dict[int, str] | str | None = None,
    ) -> None:
        self.dispatch_method_name = dispatch_method_name
        if isinstance(translate, str):
            translate = {number: char for number, char in enumerate(translate) if chr(number) != char}
        self.translate: dict[int, Any] = _TRANSLATION if translate is None else translate

    def find(self, request: Request, sections: Mapping[str, Mapping[str, Any]]) -> Found:
        """See `Finder.find`."""
        names = request.path.attributes(self.translate)
        walk = _Walk(self, request, sections)
        return walk.search(walk.down(request.app.root, names))


class _Walk:
    """One walk. Owned by the thread that does it."""

    __slots__ = (
        "_by_path",
        "_identities",
        "_layers",
        "_method",
        "_missing",
        "_names",
        "_only_root",
        "_plain",
        "_request",
        "_translate",
    )

    def __init__(
        self, dispatcher: Dispatcher, request: Request, sections: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._method = dispatcher.dispatch_method_name
        self._translate = dispatcher.translate
        self._request = request
        self._by_path = sections
        self._only_root = len(sections) == 1 and "/" in sections
        self._layers: list[tuple[int, str, Mapping[str, Any]]] = []
        self._identities: list[object] = []
        self._plain = True
        """Whether only plain attributes were walked."""
        self._missing: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()

    def down(self, root: Any, names: tuple[str, ...]) -> list[_Node]:
        """Go down as far as there are attributes; return the objects on the way, the root first."""
        raw = list(self._request.path.segments)
        total = len(raw) + 1
        label = ""
        depth = 0
        node = root
        self._configure(root, 0, 0)
        trail = [_Node(root, 0, "")]
        while depth < total:
            before = depth
            name = names[depth]
            # Names of the language itself lead to classes, modules and code, none of which are pages.
            forbidden = name[:2] == "__"
            child = None if forbidden else getattr(node, name, None)
            if child is not None:
                depth += 1
                label = label if depth == total else f"{label}/{name}"
            elif depth < total - 1 and (ask := self._asked(node)) is not None:
                self._plain = False
                rest = raw[depth:]
                child, more = self._ask(ask, rest)
                depth = total - 1 - len(rest)
                raw[depth:] = rest
                names = (*names[:depth], *(segment.translate(self._translate) for segment in rest), "index")
                label += more
            if child is None:
                self._missing = (self._method,) if forbidden else (name, self._method)
                self._sections(before + 1, total)
                break
            node = child
            self._configure(node, before + 1, depth)
            trail.append(_Node(node, depth, label))
        self._names = names
        return trail

    def _asked(self, node: Any) -> Callable[..., Any] | None:
        ask = getattr(node, self._method, None)
        if ask is None or not callable(ask) or getattr(ask, "exposed", False):
            return None
        found: Callable[..., Any] = ask
        return found

    def _ask(self, ask: Callable[..., Any], rest: list[str]) -> tuple[Any, str]:
        """Let a node say which object the next segments stand for; it takes those out of `rest`."""
        before = len(rest)
        if isinstance(ask, PopArgs):
            popped, child = ask.pop(rest)
            if popped:
                request = self._request
                request.popped = {**(request.popped or {}), **popped}
            names: tuple[str, ...] = ask.args
        else:
            child = ask(vpath=rest)
            names = ()
        if len(rest) > before:
            raise DispatchError(
                f"{ask!r} made the path longer: it may take segments off the start of vpath, but not add any"
            )
        if len(rest) == before:
            # It used a segment without taking it out.
            del rest[0]
        used = before - len(rest)
        return child, "".join(f"/{{{name}}}" for name in (names or ("*",) * used)[:used])

    def _configure(self, node: Any, first: int, last: int) -> None:
        """Note the configuration of `node`, and the sections of the segments that led to it."""
        facts = _facts(node)
        config = getattr(node, "_cp_config", None) if facts is None else facts.get("_cp_config")
        if config:
            self._layers.append((last, self._path(last), config))
            self._identities += (last, id(config))
        self._sections(first, last)

    def _path(self, depth: int) -> str:
        return "/" + "/".join((*self._request.path.segments, "index")[:depth])

    def _sections(self, first: int, last: int) -> None:
        """Note the sections of the path at the depths `first` to `last`."""
        if not self._by_path or (self._only_root and first > 0):
            return
        for depth in range(first, last + 1):
            path = self._path(depth)
            section = self._by_path.get(path)
            if section is not None:
                self._layers.append((depth, path, section))
                self._identities.append(path)

    def search(self, trail: list[_Node]) -> Found:
        """Go back to the nearest object that is a page."""
        path = self._request.path
        for place in range(len(trail) - 1, -1, -1):
            node = trail[place]
            value = node.value
            facts = _facts(value)
            default = getattr(value, "default", None) if facts is None else facts.get("default")
            if default is not None:
                if getattr(default, "exposed", False) and callable(default):
                    config = getattr(default, "_cp_config", None)
                    if config:
                        self._insert(node.depth, config)
                    trace = self._trace(trail, place, default)
                    return self._found(default, node, trace, is_index=path.slash)
                self._plain = False
            exposed = getattr(value, "exposed", False) if facts is None else facts.get("exposed")
            if exposed:
                if callable(value):
                    trace = self._trace(trail, place, None)
                    return self._found(value, node, trace, is_index=node.depth > len(path.segments))
                self._plain = False
        key = ("", path.slash, *self._identities)
        return Found(None, (), None, key, "", self._merge_order())

    def _found(self, handler: Any, node: _Node, trace: Trace | None, *, is_index: bool) -> Found:
        args = self._request.path.segments[node.depth :]
        label = (node.label or "/") if not args else f"{node.label}/{{*}}"
        key = (label, _identity(handler), self._request.path.slash, *self._identities)
        return Found(handler, args, is_index, key, label, self._merge_order(), trace)

    def _trace(self, trail: list[_Node], place: int, default: Any) -> Trace | None:
        """Return the trace of this walk, None if it went other ways than plain attributes."""
        function = getattr(default, "__func__", None) if type(default) is MethodType else None
        if not self._plain or (default is not None and not isinstance(function, FunctionType)):
            return None
        steps = []
        for name, node in zip(self._names, trail[1:], strict=False):
            facts = _facts(node.value)
            is_method = type(node.value) is MethodType
            if is_method != (facts is not None):
                # A function, or a method of something that is none.
                return None
            expected = node.value.__func__ if is_method else node.value
            config = getattr(node.value, "_cp_config", None) if facts is None else facts.get("_cp_config")
            steps.append((name, expected, is_method, config))
        root = trail[0].value
        return Trace(
            root,
            getattr(root, "_cp_config", None),
            tuple(steps),
            self._missing,
            len(trail) - 1 - place,
            function,
            None if default is None else getattr(default, "_cp_config", None),
        )

    def _insert(self, depth: int, config: Mapping[str, Any]) -> None:
        """Note the configuration of a `default`: after that of its object, before what lies deeper."""
        place = sum(layer[0] <= depth for layer in self._layers)
        self._layers.insert(place, (depth, self._path(depth), config))
        self._identities += ("default", depth, id(config))

    def _merge_order(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(path, config) for _, path, config in self._layers]


def _facts(value: Any) -> dict[str, Any] | None:
    """Return the attributes of a function or method, which cost less to look up there; None for all else."""
    kind = type(value)
    if kind is MethodType:
        value = value.__func__
        kind = type(value)
    if kind is FunctionType:
        facts: dict[str, Any] = value.__dict__
        return facts
    return None


def _identity(handler: Any) -> object:
    """Return what a handler's signature follows from: the function of a method, the class of an instance.

    Instances are often made for one request; their plan is not.
    """
    kind = type(handler)
    if kind is MethodType:
        handler = handler.__func__
        kind = type(handler)
    if kind is FunctionType:
        return handler
    if isinstance(handler, type):
        return id(handler)
    return kind if type(getattr(kind, _CALL, None)) is FunctionType else id(handler)
