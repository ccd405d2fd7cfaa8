"""Sessions in memcached, shared by any number of machines. Needs the package `pymemcache`.

memcached forgets what it has no room for, so sessions may end early; it cannot list what it holds either.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from kirsch.sessions.store import Record, TokenStore, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kirsch.sessions.serial import Serializer

__all__ = ["MemcachedStore"]

_TIMEOUT_S: Final = 3.0
"""Seconds to connect and to wait for an answer, so that a lost server holds no thread for long."""

_LONGEST_RELATIVE_S: Final = 30 * 24 * 3600
"""memcached takes a longer time for seconds since 1970 (its protocol.txt, "Expiration times")."""


class MemcachedStore(TokenStore):
    """Sessions in memcached.

    Parameters:
        servers: `HOST:PORT` or `unix:/path`, one or more; sessions are spread over them.
        prefix: what its keys begin with.
        client: a client of pymemcache to use instead; it must be safe to use from several threads.
        lock_expiry: as `TokenStore`; whole seconds.
        serializer: as `EncodedStore`.
        clock: as `Store`.

    Records vanish by themselves when they expire. Raises ImportError without the package.
    """

    def __init__(
        self,
        servers: Sequence[str] = ("127.0.0.1:11211",),
        *,
        prefix: str = "kirsch:",
        client: Any = None,
        lock_expiry: float = 60,
        serializer: str | Serializer = "msgpack",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(lock_expiry=lock_expiry, serializer=serializer, clock=clock)
        from pymemcache import HashClient, MemcacheError  # type: ignore[import-untyped]  # it has no types

        self._owned = client is None
        if client is None:
            client = HashClient(
                [servers] if isinstance(servers, str) else list(servers),
                use_pooling=True,
                connect_timeout=_TIMEOUT_S,
                timeout=_TIMEOUT_S,
                no_delay=True,
                # A server that is away is an error, not an empty store: nobody shall be logged out by it.
                ignore_exc=False,
                retry_attempts=0,
                dead_timeout=1,
            )
        self._client: Any = client
        self._errors = (MemcacheError, OSError)
        self._prefix = prefix

    def _session(self, key: str) -> str:
        return f"{self._prefix}session:{key}"

    def _lock_name(self, key: str) -> str:
        return f"{self._prefix}lock:{key}"

    def _life(self, expires: float) -> int:
        """Return the expiration time as memcached wants it; -1 for the past."""
        left = expires - self.clock()
        if left <= 0:
            return -1
        # Rounded up: the record itself says exactly when it expires.
        whole = int(left) + 1
        return whole if whole <= _LONGEST_RELATIVE_S else int(time.time()) + whole

    def load(self, session_id: str) -> Record | None:
        """See `Store`."""
        name = self._session(self.key(session_id))
        with reach(*self._errors):
            raw = self._client.get(name)
        if raw is None:
            return None
        try:
            return self._read(raw, name)
        except ValueError:
            with reach(*self._errors):
                self._client.delete(name, noreply=False)
            return None

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """See `Store`. Raises StoreUnavailableError for a record memcached has no place for (1 MiB)."""
        raw = self.encode(record)
        name = self._session(self.key(session_id))
        life = self._life(record.expires)
        with reach(*self._errors):
            if replaces is None:
                self._client.set(name, raw, expire=life, noreply=False)
                return True
            if raw == replaces.raw:
                return self._client.get(name) is not None
            return bool(self._client.replace(name, raw, expire=life, noreply=False))

    def delete(self, session_id: str) -> bool:
        """See `Store`."""
        with reach(*self._errors):
            return bool(self._client.delete(self._session(self.key(session_id)), noreply=False))

    def sweep(self) -> int:
        """Return 0: what expires vanishes by itself."""
        return 0

    def count(self) -> int:
        """Raise NotImplementedError: memcached does not tell which keys it holds."""
        raise NotImplementedError("memcached cannot count sessions; Redis, SQL, file and memory stores can")

    def close(self) -> None:
        """Close the connections, unless the client is somebody else's."""
        if self._owned:
            self._client.close()

    def _try_lock(self, key: str, token: str) -> bool:
        with reach(*self._errors):
            life = max(1, round(self.lock_expiry))
            return bool(self._client.add(self._lock_name(key), token, expire=life, noreply=False))

    def _unlock(self, key: str, token: str) -> None:
        # memcached cannot delete by comparing; a value stored by `cas` that expires at once is the same.
        name = self._lock_name(key)
        with reach(*self._errors):
            found, unique = self._client.gets(name)
            if found == token.encode():
                self._client.cas(name, b"", unique, expire=-1, noreply=False)
