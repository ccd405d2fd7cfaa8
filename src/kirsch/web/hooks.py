"""Hooks: what is called at the eight points of a request, in which order, and what happens when one fails.

    on_start_resource      the resource and its configuration are known
    before_request_body    before the body is read
    before_handler         the parameters are known
    before_finalize        there is a response, of the handler or of an HTTPError or HTTPRedirect
    on_end_resource        always, when the response is made or has failed
    on_end_request         after the answer was sent or given up
    before_error_response  an unexpected error, before its page is drawn
    after_error_response   an unexpected error, after that

At a point hooks run in order of priority, 0 to 100, low first; ties in the order they were attached. When
one raises, those after it that are `failsafe` still run, then the exception goes on. If one of these raises
too, its exception takes over, with the first as its context.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["POINTS", "Hook", "Hooks", "run_hooks", "takes_request"]

POINTS: Final = (
    "on_start_resource",
    "before_request_body",
    "before_handler",
    "before_finalize",
    "on_end_resource",
    "on_end_request",
    "before_error_response",
    "after_error_response",
)
"""The points, those of an orderly request in the order they come."""

DEFAULT_PRIORITY: Final = 50


def takes_request(callback: Callable[..., object]) -> bool:
    """Tell whether `callback` wants the request: its first parameter is positional-only.

    `def tool(request, /, limit=10)` gets the request; `def tool(limit=10)` reads `kirsch.request`. Such a
    parameter cannot be named by configuration, so the two can never be confused.
    """
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return False
    first = next(iter(parameters), None)
    return first is not None and first.kind is inspect.Parameter.POSITIONAL_ONLY


class Hook:
    """One callback at one point.

    Parameters:
        callback: called with `kwargs`, and with the request before them if it wants it (`takes_request`).
        failsafe: whether it runs even though a hook before it failed; else the callback's attribute of that
            name, else False.
        priority: 0 to 100; else the callback's attribute of that name, else 50.
        kwargs: keyword arguments of the callback.
    """

    __slots__ = ("callback", "failsafe", "kwargs", "passes", "priority")

    def __init__(
        self,
        callback: Callable[..., object],
        failsafe: bool | None = None,
        priority: float | None = None,
        **kwargs: Any,
    ) -> None:
        self.callback = callback
        self.failsafe: bool = getattr(callback, "failsafe", False) if failsafe is None else failsafe
        self.priority: float = (
            getattr(callback, "priority", DEFAULT_PRIORITY) if priority is None else priority
        )
        self.kwargs = kwargs
        self.passes = takes_request(callback)

    def __call__(self, request: object) -> None:
        """Call the callback for `request`."""
        if self.passes:
            self.callback(request, **self.kwargs)
        else:
            self.callback(**self.kwargs)

    def __repr__(self) -> str:
        return f"<Hook {self.callback!r}, priority {self.priority}{', failsafe' if self.failsafe else ''}>"


class Hooks(dict[str, list[Hook]]):
    """Hooks by point.

    One belongs to a plan and is never changed; a request that attaches gets a copy of its own.
    """

    def attach(
        self,
        point: str,
        callback: Callable[..., object],
        failsafe: bool | None = None,
        priority: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a hook at `point`; see `Hook`. Raises ValueError for a point that does not exist."""
        self.add(point, Hook(callback, failsafe, priority, **kwargs))

    def add(self, point: str, hook: Hook) -> None:
        """Add `hook` at `point`. Raises ValueError for a point that does not exist."""
        if point not in POINTS:
            raise ValueError(f"there is no hook point {point!r}; there are {', '.join(POINTS)}")
        hooks = [*self.get(point, ()), hook]
        # Replaced, not changed: a hook may attach to the point that is running.
        self[point] = sorted(hooks, key=lambda one: one.priority)

    def copy(self) -> Hooks:
        """Return hooks that change apart from these."""
        return Hooks(self)


def run_hooks(hooks: Iterable[Hook], request: object) -> None:
    """Call `hooks` in turn for `request`; on an exception the failsafe ones of the rest, then raise it."""
    rest = iter(hooks)
    for hook in rest:
        try:
            hook(request)
        except BaseException as error:
            # Not to handle it, only to let the failsafe hooks run before it goes on; SystemExit and
            # KeyboardInterrupt cut through.
            if isinstance(error, Exception):
                run_hooks(_failsafe(rest), request)
            raise


def _failsafe(hooks: Iterator[Hook]) -> Iterator[Hook]:
    return (hook for hook in hooks if hook.failsafe)
