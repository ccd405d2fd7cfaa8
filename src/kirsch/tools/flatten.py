"""`tools.flatten`: bodies of iterables in iterables, as templates that include each other produce them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.http.exchange import FileBody
from kirsch.web.response import close_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.web.request import Request

__all__ = ["flatten"]


def flatten(request: Request, /) -> None:
    """Make the body one sequence of text and bytes, however deep its iterables lie in each other."""
    response = request.response
    body = response.body
    if (
        not isinstance(body, (str, bytes, dict, FileBody))
        and hasattr(body, "__iter__")
        and not hasattr(body, "read")
    ):
        response.body = _Flat(body)


class _Flat:
    """Goes through iterables in iterables. `close` closes all that are open."""

    def __init__(self, body: Any) -> None:
        self._open: list[tuple[Any, Iterator[Any]]] = [(body, iter(body))]

    def __iter__(self) -> _Flat:
        return self

    def __next__(self) -> Any:
        while self._open:
            outer, pieces = self._open[-1]
            try:
                piece = next(pieces)
            except StopIteration:
                self._open.pop()
                close_body(outer)
                continue
            if isinstance(piece, (str, bytes)) or not hasattr(piece, "__iter__"):
                return piece
            self._open.append((piece, iter(piece)))
        raise StopIteration

    def close(self) -> None:
        """Close what is open, the innermost first."""
        while self._open:
            close_body(self._open.pop()[0])
