"""`tools.ignore_headers`: fields of the request that a resource shall not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.web.request import Request

__all__ = ["ignore_headers"]


def ignore_headers(request: Request, /, headers: Iterable[str] = ("Range",)) -> None:
    """Remove fields from `request.headers`.

    Parameters:
        headers: their names.
    """
    for name in [headers] if isinstance(headers, str) else headers:
        request.headers.remove(name)
