"""`tools.json_in` and `tools.json_out`: JSON bodies (RFC 8259), read and written by msgspec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kirsch.web.body import RequestBody
    from kirsch.web.request import Request

__all__ = ["json_in", "json_out"]

LONGEST = 2_500_000
"""Bytes of a JSON body. As Django's DATA_UPLOAD_MAX_MEMORY_SIZE."""


def json_in(
    request: Request,
    /,
    content_type: str | Sequence[str] = ("application/json", "text/javascript"),
    force: bool = True,
    processor: Callable[[RequestBody], object] | None = None,
    limit: int = LONGEST,
) -> None:
    """Read a JSON body into `request.json`, which is None where there is no body.

    Parameters:
        content_type: media types that are JSON.
        force: whether a body of any other type is a 415 (Unsupported Media Type); else it is read as usual.
        processor: what reads the body instead; it gets the body.
        limit: bytes of a body; more is a 413.

    A body that is not JSON, or nested beyond what can be read, is a 400.
    """
    if not request.process_request_body:
        return
    body = request.body
    if force:
        body.processors.clear()
        body.processors[""] = _refuse

    def read(body: RequestBody) -> None:
        import msgspec  # late, as for `json_out`: a sixth of what importing the framework costs

        data = body.read_all(limit)
        try:
            request.json = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPError(400, f"The body is not valid JSON: {error}.") from None

    for kind in [content_type] if isinstance(content_type, str) else content_type:
        body.processors[kind] = processor or read


def _refuse(body: RequestBody) -> None:
    del body
    raise HTTPError(415, "The body must be JSON, with the Content-Type application/json.")


def json_out(
    request: Request,
    /,
    content_type: str = "application/json",
    handler: Callable[[Any], str | bytes] | None = None,
) -> None:
    """Send what the handler returns as JSON.

    Parameters:
        content_type: the Content-Type of the response.
        handler: what encodes the value instead.

    What msgspec cannot encode is a TypeError of the program.
    """
    inner = request.handler
    if inner is None:
        return

    def encode() -> str | bytes:
        import msgspec

        value = inner()
        request.response.headers["Content-Type"] = content_type
        return msgspec.json.encode(value) if handler is None else handler(value)

    request.handler = encode
