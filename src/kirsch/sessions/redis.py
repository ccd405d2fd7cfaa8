"""Sessions in Redis or Valkey, shared by any number of machines. Needs the package `redis`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from kirsch.sessions.store import Record, TokenStore, reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from kirsch.sessions.serial import Serializer

__all__ = ["RedisStore"]

_TIMEOUT_S: Final = 5.0
"""Seconds to connect and to wait for an answer, so that a lost server holds no thread for long."""

# A lock is given back by its owner alone: comparing and deleting are one step (Redis manual, SET).
_UNLOCK: Final = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
)

# Notes a session in the index of its user, a sorted set by expiry, forgets there what has expired, and lets
# the index live as long as the longest of its sessions. A script, because EXPIRE learnt GT in Redis 7 only.
_NOTE: Final = """
redis.call('zadd', KEYS[1], ARGV[2], ARGV[1])
redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[3])
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[4]) then redis.call('pexpire', KEYS[1], ARGV[4]) end
return 0
"""

_PAGE: Final = 1000
"""Keys asked for at a time where all are gone through."""


class RedisStore(TokenStore):
    """Sessions in Redis.

    Parameters:
        url: `redis://HOST:PORT/DB`, `rediss://` for TLS, or `unix:///path?db=0`; a password stands in it as
            in any URL.
        prefix: what its keys begin with.
        client: a client to use instead of a URL; it must return bytes.
        lock_expiry: as `TokenStore`.
        serializer: as `EncodedStore`.
        clock: as `Store`.

    Records vanish by themselves when they expire. Raises ImportError without the package.
    """

    def __init__(
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        prefix: str = "kirsch:",
        client: Redis | None = None,
        lock_expiry: float = 60,
        serializer: str | Serializer = "msgpack",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(lock_expiry=lock_expiry, serializer=serializer, clock=clock)
        import redis

        self._owned = client is None
        self._client: Redis = (
            redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
            if client is None
            else client
        )
        self._error = redis.RedisError
        self._prefix = prefix

    def _session(self, key: str) -> str:
        return f"{self._prefix}session:{key}"

    def _lock_name(self, key: str) -> str:
        return f"{self._prefix}lock:{key}"

    def _user(self, user: str) -> str:
        # Hashed as ids are: a user's name may be a mail address.
        return f"{self._prefix}user:{self.key(user)}"

    def load(self, session_id: str) -> Record | None:
        """See `Store`."""
        name = self._session(self.key(session_id))
        with reach(self._error):
            raw = cast("bytes | None", self._client.get(name))
        if raw is None:
            return None
        try:
            return self._read(raw, name)
        except ValueError:
            with reach(self._error):
                self._client.delete(name)
            return None

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """See `Store`."""
        raw = self.encode(record)
        key = self.key(session_id)
        name = self._session(key)
        life = max(1, round((record.expires - self.clock()) * 1000))
        with reach(self._error):
            if replaces is not None and raw == replaces.raw:
                return bool(self._client.exists(name))
            if not self._client.set(name, raw, px=life, xx=replaces is not None):
                return False
            if replaces is not None and replaces.user not in {None, record.user}:
                self._client.zrem(self._user(replaces.user or ""), key)
            if record.user is not None:
                user = self._user(record.user)
                cast("Any", self._client).eval(_NOTE, 1, user, key, record.expires, self.clock(), life)
        return True

    def delete(self, session_id: str) -> bool:
        """See `Store`."""
        with reach(self._error):
            return bool(self._client.delete(self._session(self.key(session_id))))

    def sweep(self) -> int:
        """Return 0: what expires vanishes by itself."""
        return 0

    def count(self) -> int:
        """See `Store`. Goes through all keys of the database."""
        with reach(self._error):
            return sum(1 for _ in self._client.scan_iter(f"{self._prefix}session:*", count=_PAGE))

    def delete_user(self, user: str, keep: str | None = None) -> int:
        """See `Store`."""
        kept = None if keep is None else self.key(keep)
        name = self._user(user)
        with reach(self._error):
            members = cast("list[bytes]", self._client.zrange(name, 0, -1))
            keys = [key for key in (member.decode() for member in members) if key != kept]
            if not keys:
                return 0
            removed = self._client.delete(*map(self._session, keys))
            self._client.zrem(name, *keys)
        return removed

    def close(self) -> None:
        """Close the connections, unless the client is somebody else's."""
        if self._owned:
            self._client.close()

    def _try_lock(self, key: str, token: str) -> bool:
        with reach(self._error):
            life = round(self.lock_expiry * 1000)
            return bool(self._client.set(self._lock_name(key), token, nx=True, px=life))

    def _unlock(self, key: str, token: str) -> None:
        with reach(self._error):
            cast("Any", self._client).eval(_UNLOCK, 1, self._lock_name(key), token)
