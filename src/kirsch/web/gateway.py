"""The gateway: what the server calls to have a tree of applications answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kirsch.http.exchange import Exchange
from kirsch.http.pace import PaceTable
from kirsch.http.urls import decode_segments
from kirsch.web.application import Application
from kirsch.web.dispatch import Path
from kirsch.web.plan import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.http.exchange import RequestHead
    from kirsch.http.pace import Pace
    from kirsch.web.tree import Tree

__all__ = ["Gateway"]

_MOST_PATHS = 2048
"""Paths that are remembered, in each of two generations; about a kilobyte each with what they led to."""

_LONGEST = 256
"""Characters of a path that is remembered. Longer ones are seldom asked for twice, and cost memory."""


class _Place(NamedTuple):
    """Where a head leads: a pure function of the head and the generation of the tree."""

    generation: int
    app: Any
    """An application; None for a path that lies under nothing; else a gateway."""
    path: Path


class Gateway:
    """Serves a tree.

    Parameters:
        tree: the tree.
        wsgi: makes the gateway of a grafted WSGI program from that and its script name; None where none will
            be grafted.
        exchange_type: the class of exchanges those gateways need.

    Called from many threads at once.
    """

    def __init__(
        self,
        tree: Tree,
        wsgi: Callable[[Any, str], Callable[[Any], None]] | None = None,
        exchange_type: type[Exchange] = Exchange,
    ) -> None:
        self.tree = tree
        self.exchange_type = exchange_type
        self._wsgi = wsgi
        self._places: Memory[_Place] = Memory(_MOST_PATHS)
        self._grafts: dict[str, tuple[Any, Callable[[Exchange], None]]] = {}
        self._paces: Memory[Pace] = Memory(_MOST_PATHS)
        self._unknown = PaceTable()

    def __call__(self, exchange: Exchange) -> None:
        """Answer; see `kirsch.http.exchange.Gateway`."""
        head = exchange.head
        place: _Place | None = head.derived.get(self)
        if place is None or place.generation != self.tree.generation:
            place = head.derived[self] = self._find(head)
        app = place.app
        if isinstance(app, Application):
            before = exchange.pace
            app.respond(exchange, place.path)
            if exchange.pace is not before and exchange.pace is not None:
                self._learn(head, exchange.pace)
        elif app is not None:
            # A gateway itself: it finishes its answers.
            app(exchange)
            return
        elif head.path == "*" and head.method == "OPTIONS":
            # RFC 9110 9.3.7: a ping of the server as a whole.
            exchange.status = "204 No Content"
            exchange.fields = [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
        else:
            self.tree.answer_nowhere(exchange, place.path)
        if exchange.finish is not None:
            exchange.finish(exchange)

    def pace(self, head: RequestHead) -> Pace:
        """Return the pace of the plan that answered such a request last; else one by the path's shape."""
        found: Pace | None = head.derived.get("pace")
        if found is None:
            found = self._paces.get((head.method, head.path))
            if found is None:
                return self._unknown.get(head.method, head.path)
            head.derived["pace"] = found
        return found

    def _learn(self, head: RequestHead, pace: Pace) -> None:
        head.derived["pace"] = pace
        if len(head.path) <= _LONGEST:
            self._paces.put((head.method, head.path), pace)

    def _find(self, head: RequestHead) -> _Place:
        """Return where a head leads, from memory if another one had the same path."""
        place = self._places.get(head.path)
        if place is None or place.generation != self.tree.generation:
            place = self._place(head)
            if len(head.path) <= _LONGEST:
                self._places.put(head.path, place)
        return place

    def _place(self, head: RequestHead) -> _Place:
        tree = self.tree
        generation = tree.generation
        if head.path == "*":
            return _Place(generation, None, Path("", ""))
        # An encoded slash does not divide, so it cannot lead below another program than its segment does.
        segments = [segment.replace("/", "%2F") for segment in decode_segments(head.path) if segment]
        script_name = tree.script_name("/" + "/".join(segments))
        if script_name is None:
            return _Place(generation, None, Path("", head.path))
        rest = _below(head.path, script_name.count("/"))
        program = tree[script_name]
        if not isinstance(program, Application):
            program = self._graft(script_name, program)
        return _Place(generation, program, Path(script_name, rest))

    def _graft(self, script_name: str, program: Any) -> Callable[[Exchange], None]:
        """Return the gateway of a grafted program; the same one for as long as it is mounted."""
        kept = self._grafts.get(script_name)
        if kept is not None and kept[0] is program:
            return kept[1]
        if self._wsgi is None:
            raise TypeError(
                f"a WSGI program is grafted at {script_name or '/'!r}, but this gateway was made without "
                "a way to call it; pass wsgi="
            )
        made = self._wsgi(program, script_name)
        self._grafts[script_name] = (program, made)
        return made


def _below(path: str, count: int) -> str:
    """Return an encoded path without its first `count` segments, empty ones passed over."""
    rest = path
    for _ in range(count):
        rest = rest.lstrip("/")
        cut = rest.find("/")
        rest = "" if cut < 0 else rest[cut:]
    return rest
