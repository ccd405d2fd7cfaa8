"""Two handlers in one WSGI program: `/` answers at once, `/sleep` waits 20 ms as for a database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hello import BODY, HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(0.020)
    start_response("200 OK", list(HEADERS))
    return [BODY]
