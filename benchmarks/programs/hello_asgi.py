"""The same thirteen bytes for ASGI servers: natively, and the WSGI program behind a2wsgi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from a2wsgi import WSGIMiddleware
from hello import BODY
from hello import app as wsgi_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", str(len(BODY)).encode())],
}


async def app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    await send(START)
    await send({"type": "http.response.body", "body": BODY})


wrapped = WSGIMiddleware(wsgi_app, workers=10)
