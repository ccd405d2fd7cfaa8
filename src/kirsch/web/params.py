"""What a handler can be called with, read from its signature once, and checked before it is called.

A request that does not fit is the client's mistake, so it becomes a 404 (the URL names nothing) or a 400 (the
body is wrong), and a TypeError that a handler raises inside is never mistaken for one.
"""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

__all__ = ["Parameters", "merge_params"]

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
_NAMED = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


class Parameters:
    """The parameters of a handler. Immutable.

    Parameters:
        handler: any callable, bound if it is a method. Decorators are not looked through: what they accept is
            what counts.

    A callable without a signature (some of C) accepts everything.
    """

    __slots__ = (
        "bound",
        "fewest",
        "most",
        "named",
        "needed",
        "only",
        "passes",
        "places",
        "required",
        "takes_all",
        "takes_more",
    )

    def __init__(self, handler: Callable[..., object]) -> None:
        try:
            given = tuple(inspect.signature(handler, follow_wrapped=False).parameters.values())
        except (TypeError, ValueError):
            given = _ANYTHING
        self.passes: bool = getattr(handler, "takes_request", False)
        """Whether the handler gets the request before everything else: those that tools make do."""
        if self.passes:
            given = given[1:]
        self.places = tuple(one.name for one in given if one.kind in _POSITIONAL)
        """Names of the parameters that path segments fill, in order."""
        self.only = frozenset(one.name for one in given if one.kind is inspect.Parameter.POSITIONAL_ONLY)
        """Those of them that cannot be given by name."""
        self.named = frozenset(one.name for one in given if one.kind in _NAMED)
        """Names that can be given by name."""
        self.required = tuple(
            one.name
            for one in given
            if one.default is one.empty and (one.kind in _POSITIONAL or one.kind in _NAMED)
        )
        """Names without a default."""
        self.needed = frozenset(self.required)
        """The same, to compare with."""
        self.takes_more = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in given)
        """Whether there is `*args`."""
        self.takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in given)
        """Whether there is `**kwargs`."""
        self.bound = _bound(handler)
        """Name of the parameter that is the object itself, not to be given by name; `""` without one."""
        keyword_only = any(name not in self.places for name in self.required)
        self.fewest = 1_000_000 if keyword_only else sum(name in self.required for name in self.places)
        """Path segments without which a call by segments alone cannot work."""
        self.most = 1_000_000 if self.takes_more else len(self.places)
        """Path segments with which it still works."""

    def check(
        self, args: Collection[str], kwargs: Mapping[str, Any], body: Collection[str], *, explain: bool
    ) -> None:
        """Raise HTTPError unless the handler can be called with `args` and `kwargs`.

        Parameters:
            args: path segments.
            kwargs: parameters by name.
            body: names that came in the body; all others came in the query.
            explain: whether the error says which parameters are meant. It tells a stranger how the program
                is written, so it is for development.
        """
        count = len(args)
        if not kwargs:
            if self.fewest <= count <= self.most:
                return
        elif not count and kwargs.keys() <= self.named and kwargs.keys() >= self.needed:
            # The two frequent cases, in a fraction of the time.
            return
        filled = self.places[:count]
        given = [name for name in kwargs if name not in self.only]
        missing = [name for name in self.required if name not in filled and name not in given]
        if missing:
            raise _error(404, "Missing parameters: ", missing, explain=explain)
        if count > self.most:
            raise HTTPError(404)
        twice = [name for name in given if name in filled]
        if twice:
            status = 400 if all(name in body for name in twice) else 404
            raise _error(status, "Multiple values for parameters: ", twice, explain=explain)
        if self.takes_all:
            extra = [self.bound] if self.bound in kwargs else []
        else:
            extra = [name for name in kwargs if name not in self.named]
        in_query = [name for name in extra if name not in body]
        if in_query:
            raise _error(404, "Unexpected query string parameters: ", in_query, explain=explain)
        if extra:
            raise _error(400, "Unexpected body parameters: ", extra, explain=explain)


_ANYTHING = tuple(inspect.signature(lambda *args, **kwargs: (args, kwargs)).parameters.values())


def _bound(handler: object) -> str:
    """Return the name under which Python passes the object to `handler`: `self`, mostly.

    With `**kwargs` a parameter of that name would be a TypeError of the call, though the signature takes it.
    """
    if isinstance(handler, type):
        function = handler.__init__  # type: ignore[misc]  # looked at, not called
    elif isinstance(handler, (MethodType, FunctionType)):
        function = getattr(handler, "__func__", None)
    else:
        function = getattr(type(handler), "__call__", None)  # noqa: B004  its signature is wanted
    code = getattr(function, "__code__", None)
    if code is None or not code.co_argcount or code.co_posonlyargcount:
        return ""
    name: str = code.co_varnames[0]
    return name


def _error(status: int, text: str, names: Iterable[str], *, explain: bool) -> HTTPError:
    return HTTPError(status, text + ", ".join(names) if explain else None)


def merge_params(params: dict[str, Any], pairs: Iterable[tuple[str, Any]]) -> None:
    """Put `pairs` into `params`; a name that comes again gets a list of its values, in order."""
    for name, value in pairs:
        if name not in params:
            params[name] = value
        elif isinstance(params[name], list):
            params[name].append(value)
        else:
            params[name] = [params[name], value]
