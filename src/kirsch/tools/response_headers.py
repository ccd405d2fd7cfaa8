"""`tools.response_headers`: fields on every response of a resource, whatever becomes of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.http.headers import Headers
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.web.plan import Building
    from kirsch.web.request import Request

__all__ = ["ResponseHeaders", "response_headers"]


def response_headers(request: Request, /, headers: Iterable[tuple[str, str]] = ()) -> None:
    """Set fields of the response.

    Parameters:
        headers: names and values; a name that comes twice gives two lines. Raises HeaderError for what must
            not be sent.
    """
    request.response.headers.update(list(headers))


class ResponseHeaders(Tool):
    """The tool.

    Its fields are checked once, when a plan is made, and every response of the plan begins with them.
    """

    def __init__(self) -> None:
        super().__init__("on_start_resource", response_headers)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Put the fields into the plan. Raises HeaderError for what must not be sent."""
        arguments.pop("priority", None)
        self._check(arguments)
        building.headers.update(Headers(arguments.get("headers", ())))
