"""The request of the code that runs: what `kirsch.request` and `kirsch.response` stand for.

One context variable holds the request, so threads and tasks each see their own. It is set by `serving` alone,
while an application answers and while the body of an answer is produced. Nothing else in this room reads it;
the core passes objects.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from kirsch.web.errors import NoRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.web.request import Request
    from kirsch.web.response import Response

__all__ = ["Proxy", "current", "request", "response", "serving"]

serving: ContextVar[Request] = ContextVar("kirsch.request")
"""The request that is being answered. Whoever sets it resets it."""


def current() -> Request | None:
    """Return the request that is being answered here, None where there is none."""
    return serving.get(None)


def _request() -> Request:
    found = serving.get(None)
    if found is None:
        raise NoRequestError(
            "kirsch.request and kirsch.response are only there while a request is being answered; "
            "in a thread of your own, pass what it needs as arguments"
        )
    return found


def _response() -> Response:
    return _request().response


class Proxy:
    """Stands for an object that is looked up at every use.

    Reading, setting and deleting attributes pass through.

    Parameters:
        find: returns the object; raises NoRequestError where there is none.

    It is true where there is one.
    """

    __slots__ = ("__find",)

    def __init__(self, find: Callable[[], Any]) -> None:
        object.__setattr__(self, "_Proxy__find", find)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__find(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__find(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__find(), name)

    def __bool__(self) -> bool:
        try:
            self.__find()
        except NoRequestError:
            return False
        return True

    def __dir__(self) -> Iterator[str]:
        yield from dir(self.__find()) if self else ()

    def __repr__(self) -> str:
        return repr(self.__find()) if self else "<no request is being answered here>"


if TYPE_CHECKING:
    request: Request
    response: Response
else:
    request = Proxy(_request)
    response = Proxy(_response)
