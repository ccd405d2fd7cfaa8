"""`tools.sessions`: switches sessions on, and says where and how they are kept.

Every program loads this, so what only programs with sessions need is imported when a plan needs it.
"""

from __future__ import annotations

import inspect
import pkgutil
from typing import TYPE_CHECKING, Any, Final

from kirsch.config import nearest
from kirsch.web.context import current
from kirsch.web.toolbox import Tool

if TYPE_CHECKING:
    from kirsch.sessions.policy import Policy
    from kirsch.sessions.store import Store
    from kirsch.web.plan import Building
    from kirsch.web.request import Request
    from kirsch.web.toolbox import Toolbox

__all__ = ["SessionTool", "install"]

_BEGIN: Final = 50
"""After the proxy tool (30), which may say that the client came by TLS."""

_STORES: Final = {
    "memory": "kirsch.sessions.memory:MemoryStore",
    "ram": "kirsch.sessions.memory:MemoryStore",
    "file": "kirsch.sessions.file:FileStore",
    "redis": "kirsch.sessions.redis:RedisStore",
    "memcached": "kirsch.sessions.memcached:MemcachedStore",
    "sql": "kirsch.sessions.sql:SQLStore",
}

_COOKIE: Final = frozenset(
    {
        *("name", "path", "path_header", "domain", "secure", "httponly", "same_site", "persistent"),
        *("host_prefix", "partitioned"),
    }
)
_POLICY: Final = frozenset(
    {
        *("timeout", "absolute_timeout", "renew_after", "locking", "lock_timeout", "lock_waiters"),
        *("clean_freq", "signing_keys"),
    }
)
_WHERE: Final = ("storage_class", "storage_type")


class SessionTool(Tool):
    """The tool.

    Its keys are those of `kirsch.sessions.Policy` and of `kirsch.sessions.SessionCookie`, `storage_class`,
    and those of the store. `storage_class` is a name (`memory`, `file`, `redis`, `memcached`, `sql`), a
    subclass of `Store`, `"package.module:Class"`, or a store that has been made; `storage_type` is an older
    name for it. Resources whose stores are configured alike share one.
    """

    def __init__(self) -> None:
        super().__init__("before_request_body", sessions, priority=_BEGIN)
        self.stores: dict[tuple[Any, ...], Store] = {}
        """The stores that are in use, by what was configured. Written while plans are made."""

    def arguments(self) -> tuple[str, ...]:
        """Return the names that can be configured for every store, beside `on` and `priority`."""
        return (*sorted(_COOKIE), *sorted(_POLICY), *_WHERE)

    def attach(self, building: Building, arguments: dict[str, Any]) -> None:
        """Attach the hooks.

        Raises TypeError for an argument nothing has, ValueError for a value that makes no sense, CookieError
        for a cookie browsers would not take.
        """
        from kirsch.sessions.hooks import attach

        priority = arguments.pop("priority", None)
        policy = self.policy(arguments)
        attach(building.hooks, policy, self._priority(priority))

    def policy(self, arguments: dict[str, Any]) -> Policy:
        """Return what `arguments` configure; see `attach` for what it raises."""
        from kirsch.sessions.cookie import SessionCookie
        from kirsch.sessions.policy import Policy

        rest = dict(arguments)
        cookie = {name: rest.pop(name) for name in _COOKIE & rest.keys()}
        policy = {name: rest.pop(name) for name in _POLICY & rest.keys()}
        return Policy(self._store(rest), SessionCookie(**cookie), **policy)

    def _store(self, arguments: dict[str, Any]) -> Store:
        """Return the store that is configured; the same one for the same configuration."""
        from kirsch.sessions.store import Store

        older = arguments.pop("storage_type", None)
        wanted = arguments.pop("storage_class", None) or older or "memory"
        if isinstance(wanted, Store):
            self._check_store(type(wanted), arguments, made=True)
            return wanted
        if isinstance(wanted, str):
            wanted = _find(wanted)
        self._check_store(wanted, arguments)
        key = (wanted, *sorted((name, _frozen(value)) for name, value in arguments.items()))
        store = self.stores.get(key)
        if store is None:
            made = wanted(**arguments)
            store = self.stores.setdefault(key, made)
        return store

    def _check_store(self, kind: type[Store], arguments: dict[str, Any], *, made: bool = False) -> None:
        parameters = () if made else inspect.signature(kind).parameters.values()
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            return
        own = tuple(one.name for one in parameters)
        for name in arguments:
            if name not in own:
                known = (*self.arguments(), *own)
                close = nearest(name, known)
                hint = f"did you mean {close}?" if close else f"it has {', '.join(known)}"
                raise TypeError(
                    f"the tool {self.name} with a {kind.__name__} has no argument {name!r}; {hint}"
                )

    def close(self) -> None:
        """Close the connections of the stores this tool has made. They open again when they are used."""
        for store in self.stores.values():
            store.close()

    def regenerate(self) -> None:
        """Give the session of the request that is being answered a new id; see `Session.regenerate`.

        Raises NoSessionError where there is none.
        """
        from kirsch.sessions.errors import NoSessionError
        from kirsch.sessions.hooks import session_of

        request = current()
        session = None if request is None else session_of(request)
        if session is None:
            raise NoSessionError(
                "there is no session to regenerate; switch it on with tools.sessions.on = True"
            )
        session.regenerate()


def _find(name: str) -> type[Store]:
    """Return the class of a store by its name.

    Raises ValueError for an unknown name, TypeError for one of something else.
    """
    from kirsch.sessions.store import Store

    known = name.lower() in _STORES
    if not known and "." not in name:
        close = nearest(name, tuple(_STORES))
        hint = f"did you mean {close!r}?" if close else f"there are {', '.join(_STORES)}"
        raise ValueError(f"tools.sessions.storage_class = {name!r} is no store; {hint}")
    found = pkgutil.resolve_name(_STORES[name.lower()] if known else name)
    if not (isinstance(found, type) and issubclass(found, Store)):
        raise TypeError(f"tools.sessions.storage_class = {name!r} is no subclass of kirsch.sessions.Store")
    return found


def _frozen(value: Any) -> str:
    """Return what tells a configured value from others."""
    plain = isinstance(value, (str, bytes, int, float, list, tuple, dict, type(None)))
    return repr(value) if plain else f"{type(value).__name__} {id(value)}"


def sessions(request: Request, policy: Policy) -> None:
    """Give `request` its session, as `request.session`. Nothing is loaded."""
    from kirsch.sessions.hooks import begin

    begin(request, policy)


def install(toolbox: Toolbox) -> None:
    """Put `tools.sessions` into `toolbox`; one of that name that is there is replaced."""
    toolbox.sessions = SessionTool()
