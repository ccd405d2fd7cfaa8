"""`tools.allow`: the methods of a resource (RFC 9110 10.2.1, 15.5.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.web.request import Request

__all__ = ["allow"]


def allow(request: Request, /, methods: str | Iterable[str] | None = None) -> None:
    """Refuse all other methods with HTTPError 405, and name those there are in the field Allow.

    Parameters:
        methods: the methods; HEAD comes with GET. None for GET and HEAD.
    """
    given = [methods] if isinstance(methods, str) else list(methods or ("GET",))
    names = [name.upper() for name in given]
    if "GET" in names and "HEAD" not in names:
        names.append("HEAD")
    request.response.headers["Allow"] = ", ".join(names)
    if request.method not in names:
        raise HTTPError(405)
