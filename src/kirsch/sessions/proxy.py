"""`kirsch.session`: the session of the request that is being answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kirsch.sessions.errors import NoSessionError
from kirsch.web.context import Proxy, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.sessions.session import Session

__all__ = ["session"]


def _session() -> Session:
    try:
        request: Any = serving.get()
        found: Session = request.session
    except (LookupError, AttributeError):
        raise _none() from None
    return found


def _none() -> NoSessionError:
    request = serving.get(None)
    if request is None:
        return NoSessionError(
            "kirsch.session is only there while a request is being answered; "
            "in a thread of your own, pass what it needs as arguments"
        )
    return NoSessionError(
        f"there is no session for {request.script_name}{request.path_info}; switch sessions on with "
        "tools.sessions.on = True (they begin at before_request_body, priority 50)"
    )


class _SessionProxy(Proxy):
    """Stands for the session, as a dictionary too.

    Special methods are looked up on the class, so each is handed on by name.
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        return _session()[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of `key`, or `default`."""
        return _session().get(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        _session()[key] = value

    def __delitem__(self, key: Any) -> None:
        del _session()[key]

    def __contains__(self, key: object) -> bool:
        return key in _session()

    def __iter__(self) -> Iterator[Any]:
        return iter(_session())

    def __len__(self) -> int:
        return len(_session())


if TYPE_CHECKING:
    session: Session
else:
    session = _SessionProxy(_session)
