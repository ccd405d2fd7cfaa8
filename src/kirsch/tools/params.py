"""`tools.params`: parameters converted to what the handler's annotations say."""

from __future__ import annotations

import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin, get_type_hints

from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.web.request import Request

__all__ = ["params"]

_TRUE: Final = frozenset({"1", "on", "true", "yes"})
_AS_THEY_ARE: Final = frozenset({str, Any, object, bytes, dict, frozenset, set, tuple})
"""Annotations that text cannot be converted to, or need not."""
_FALSE: Final = frozenset({"", "0", "off", "false", "no"})


def params(
    request: Request,
    /,
    exception: type[Exception] | tuple[type[Exception], ...] = ValueError,
    error: int = 400,
) -> None:
    """Convert parameters of the path, the query and the body by the annotations of the handler.

    Parameters:
        exception: what a conversion raises that fails.
        error: status of the answer to a value that cannot be converted, or that comes more than once where
            one is wanted.

    `int`, `float`, `bool` (1, on, true, yes; 0, off, false, no, nothing), any class or function that takes
    text, `list[...]` of these for names that come more than once, and unions (`int | None`, where nothing is
    None). What is no such annotation, and names without one, stay text.
    """
    handler = request.callable
    if handler is None or getattr(handler, "takes_request", False):
        return
    converters = _converters(_function(handler))
    if not converters:
        return

    def converted(name: str, value: Any) -> Any:
        convert = converters.get(name)
        if convert is None:
            return value
        try:
            return convert(value)
        except _RepeatedError:
            raise HTTPError(error, f"The parameter {name} came more than once.") from None
        except exception:
            raise HTTPError(error, f"The parameter {name} is not what it should be.") from None

    found = request.params
    for name in converters.keys() & found.keys():
        found[name] = converted(name, found[name])
    places = request.plan.parameters.places
    if request.args and any(name in converters for name in places):
        names = (*places, *("" for _ in request.args))
        request.args = tuple(converted(name, value) for name, value in zip(names, request.args, strict=False))


class _RepeatedError(Exception):
    """A name came more than once, and one value is wanted."""


def _function(handler: Any) -> Any:
    """Return the function that has the annotations."""
    if isinstance(handler, types.MethodType):
        return handler.__func__
    if isinstance(handler, (types.FunctionType, type)):
        return handler
    return type(handler).__call__


@lru_cache(maxsize=1024)
def _converters(function: Any) -> dict[str, Callable[[Any], Any]]:
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]  # looked at, not called
    try:
        hints = get_type_hints(function)
    except TypeError:
        # Of C: there is nothing to go by.
        return {}
    hints.pop("return", None)
    found = {name: _converter(hint) for name, hint in hints.items()}
    return {name: convert for name, convert in found.items() if convert is not None}


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """Return what converts a value as it came, text or a list; None where it stays as it came."""
    if hint is list or get_origin(hint) is list:
        one = _single(*get_args(hint)) or str
        return lambda value: [one(each) for each in (value if isinstance(value, list) else [value])]
    convert = _single(hint)
    if convert is None:
        return None

    def single(value: Any) -> Any:
        if isinstance(value, list):
            raise _RepeatedError
        # A default, or an uploaded file, or what another tool has converted, is no text.
        return convert(value) if isinstance(value, str) else value

    return single


def _single(hint: Any = str) -> Callable[[str], Any] | None:
    """Return what converts text."""
    if hint in _AS_THEY_ARE:
        return None
    if hint is bool:
        return _boolean
    if get_origin(hint) in {Union, types.UnionType}:
        return _union(get_args(hint))
    return hint if isinstance(hint, (type, types.FunctionType)) and get_origin(hint) is None else None


def _union(hints: tuple[Any, ...]) -> Callable[[str], Any]:
    optional = type(None) in hints
    choices = [_single(hint) or str for hint in hints if hint is not type(None)]

    def convert(text: str) -> Any:
        if optional and not text:
            return None
        for choice in choices[:-1]:
            try:
                return choice(text)
            except ValueError:
                continue
        return choices[-1](text)

    return convert


def _boolean(text: str) -> bool:
    lower = text.lower()
    if lower in _TRUE:
        return True
    if lower in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither yes nor no")
