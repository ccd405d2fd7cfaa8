"""Sessions: what a program keeps for one browser, and the stores they are kept in.

Names are fetched from their modules when they are first asked for, as every program imports this room and not
every one has sessions. A store's own library (redis, pymemcache, SQLAlchemy) is imported when such a store is
made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kirsch.sessions.tool import SessionTool, install

if TYPE_CHECKING:
    from kirsch.sessions.cookie import SessionCookie
    from kirsch.sessions.errors import (
        LockTimeoutError,
        NoSessionError,
        SessionError,
        StoreUnavailableError,
        UnstorableError,
    )
    from kirsch.sessions.file import FileStore
    from kirsch.sessions.locks import Lock
    from kirsch.sessions.memcached import MemcachedStore
    from kirsch.sessions.memory import MemoryStore
    from kirsch.sessions.policy import Policy
    from kirsch.sessions.redis import RedisStore
    from kirsch.sessions.serial import Serializer
    from kirsch.sessions.session import Session
    from kirsch.sessions.sql import SQLStore
    from kirsch.sessions.store import EncodedStore, Record, Store, TokenStore

__all__ = [
    "EncodedStore",
    "FileStore",
    "Lock",
    "LockTimeoutError",
    "MemcachedStore",
    "MemoryStore",
    "NoSessionError",
    "Policy",
    "Record",
    "RedisStore",
    "SQLStore",
    "Serializer",
    "Session",
    "SessionCookie",
    "SessionError",
    "SessionTool",
    "Store",
    "StoreUnavailableError",
    "TokenStore",
    "UnstorableError",
    "install",
]

_HOMES = {
    "EncodedStore": "store",
    "FileStore": "file",
    "Lock": "locks",
    "LockTimeoutError": "errors",
    "MemcachedStore": "memcached",
    "MemoryStore": "memory",
    "NoSessionError": "errors",
    "Policy": "policy",
    "Record": "store",
    "RedisStore": "redis",
    "SQLStore": "sql",
    "Serializer": "serial",
    "Session": "session",
    "SessionCookie": "cookie",
    "SessionError": "errors",
    "Store": "store",
    "StoreUnavailableError": "errors",
    "TokenStore": "store",
    "UnstorableError": "errors",
}


def __getattr__(name: str) -> Any:
    """Fetch a name from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return found
