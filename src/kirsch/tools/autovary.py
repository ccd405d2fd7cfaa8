"""`tools.autovary`: the Vary field from what was looked at while the response was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kirsch.http.headers import Headers
from kirsch.tools.vary import add_vary

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.web.request import Request

__all__ = ["autovary"]

_PRIORITY: Final = 95

# RFC 9110 12.5.5 speaks of choosing a representation. These are about the message, or let a client decide
# whether it wants the representation at all.
_NEVER: Final = frozenset(
    {
        *(
            "connection",
            "content-length",
            "content-type",
            "expect",
            "host",
            "te",
            "trailer",
            "transfer-encoding",
        ),
        *(
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "if-range",
            "range",
            "cache-control",
        ),
    }
)


class _Watched(Headers):
    """Fields of a request that note which of them were looked at, present or not."""

    __slots__ = ("seen",)

    def __init__(self, fields: Headers) -> None:
        super().__init__(())
        self._fields = fields.items()
        self._keys = None
        self.seen: dict[str, str] = {}

    def _note(self, name: str) -> None:
        self.seen.setdefault(name.lower(), name)

    def __getitem__(self, name: str) -> str:
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._note(name)
        return super().__contains__(name)

    def get_all(self, name: str) -> list[str]:
        """See `Headers.get_all`."""
        self._note(name)
        return super().get_all(name)

    def copy(self) -> Headers:
        """Return the fields, unwatched."""
        return Headers.trusted(self.items())


def autovary(
    request: Request,
    /,
    ignore: Collection[str] = ("Content-Disposition", "Content-Length", "Content-Type"),
) -> None:
    """Add to the Vary field each field of the request that was looked at.

    Parameters:
        ignore: names that do not count, beside those of conditions, ranges and framing.

    Going through all fields at once is not noted.
    """
    watched = _Watched(request.headers)
    request.headers = watched
    ignored = {name.lower() for name in ignore} | _NEVER

    def tell(request: Any, /) -> None:
        names = [name for key, name in watched.seen.items() if key not in ignored]
        add_vary(request.response.headers, *(name.title() if name.islower() else name for name in names))

    request.hooks.attach("before_finalize", tell, priority=_PRIORITY)
