"""`tools.log_headers`, `tools.log_tracebacks` and `tools.log_hooks`: more in the error log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.web.request import Request

__all__ = ["log_headers", "log_hooks", "log_tracebacks"]

SECRET: Final = ("Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie", "X-Api-Key", "X-Auth-Token")
"""Fields whose values never go to a log (ASVS 16.2.5)."""


def log_headers(request: Request, /, severity: int = logging.ERROR, masked: Collection[str] = SECRET) -> None:
    """Log the fields of a request that failed unexpectedly.

    Parameters:
        severity: as in `logging`.
        masked: names of fields whose values are not shown.
    """
    hidden = {name.lower() for name in masked}
    lines = [
        f"  {name}: {'(not shown)' if name.lower() in hidden else value}"
        for name, value in request.header_list
    ]
    request.app.log(" ".join(["Request headers:", *(repr(line.strip()) for line in lines)]), "HTTP", severity)


def log_tracebacks(request: Request, /, severity: int = logging.ERROR) -> None:
    """Log the traceback of an unexpected error once more, with a severity of one's own.

    Parameters:
        severity: as in `logging`. That an error is logged at all needs no tool.
    """
    request.app.log("", "HTTP", severity, traceback=True)


def log_hooks(request: Request, /) -> None:
    """Log which hooks ran for a request, point by point."""
    hooks = request.hooks
    for point, each in hooks.items():
        for hook in each:
            name = getattr(hook.callback, "__qualname__", repr(hook.callback))
            line = f"{request.method} {request.path_info}: {point} {hook.priority:g} {name}"
            request.app.log(f"{line} {hook.kwargs}" if hook.kwargs else line, "HOOKS")
