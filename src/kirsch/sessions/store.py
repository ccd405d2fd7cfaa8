"""What a store of sessions is: the contract, and what stores that keep bytes have in common.

Stores keep records by id and know nothing of requests. A record is never changed in place; saving replaces
it. Any thread may call a store, and several processes may share one unless it says otherwise.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kirsch.sessions.errors import StoreUnavailableError
from kirsch.sessions.locks import LocalLocks, SharedLock, wait_for
from kirsch.sessions.serial import find_serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from kirsch.sessions.locks import Lock
    from kirsch.sessions.serial import Serializer

__all__ = ["EncodedStore", "Record", "Store", "TokenStore", "reach"]

_MAGIC: Final = b"KS1"
"""Before every stored record, with the mark of its serialiser after it."""

_HELD_SHARE: Final = 0.9
"""Share of a lock's expiry for which it counts as held: clocks differ, and the last word takes time."""

_log = logging.getLogger("kirsch.sessions")


class Record(NamedTuple):
    """A session as it is stored."""

    data: dict[Any, Any]
    """What the program keeps in it. Not to be changed."""
    expires: float
    """When it ends unless it is used before, in seconds since 1970."""
    created: float
    """When it began, in seconds since 1970; kept when the id changes."""
    user: str | None = None
    """Whose it is, if the program said so."""
    raw: bytes = b""
    """The bytes it was read from, in stores that keep bytes."""


class Store(ABC):
    """Where sessions are kept.

    Parameters:
        clock: the time in seconds since 1970, by which sessions expire.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        """The clock by which sessions expire."""
        self.tidy_at = 0.0
        """When expired sessions are next looked for. Written by any thread: twice does no harm."""

    @abstractmethod
    def load(self, session_id: str) -> Record | None:
        """Return the record, or None if there is none, it has expired, or it cannot be read."""

    @abstractmethod
    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """Store a record.

        Parameters:
            session_id: its id.
            record: the record.
            replaces: what was loaded under this id; the record is then stored only if something is still
                there, so that a session that was ended meanwhile stays ended. None for a new session.

        Return False when nothing was there.
        """

    @abstractmethod
    def delete(self, session_id: str) -> bool:
        """Remove a record. Return whether there was one."""

    @abstractmethod
    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Lock:
        """Lock an id, whether there is a record or not, and return the lock.

        Parameters:
            session_id: the id.
            timeout: seconds to wait for it.
            waiters: threads of this process that may wait at once; None for any number.

        Raises LockTimeoutError.
        """

    @abstractmethod
    def sweep(self) -> int:
        """Remove what has expired and return how many that were; 0 where records vanish by themselves."""

    @abstractmethod
    def count(self) -> int:
        """Return how many sessions there are. NotImplementedError where the store cannot tell."""

    def delete_user(self, user: str, keep: str | None = None) -> int:
        """Remove every session of `user`, but for the id `keep`; return how many those were.

        NotImplementedError where the store cannot find them.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot find the sessions of a user; "
            "Redis, SQL, file and memory stores can"
        )

    def original(self, record: Record) -> dict[Any, Any]:
        """Return what `record` held when it was loaded, whatever was changed inside of it since."""
        return record.data

    def tidy(self, every: float) -> None:
        """Sweep if the last time was more than `every` seconds ago. Called after sessions were saved."""
        now = self.clock()
        if now >= self.tidy_at:
            self.tidy_at = now + every
            self.sweep()

    def close(self) -> None:  # noqa: B027  most stores hold nothing open
        """Close files and connections. The store must not be used any more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EncodedStore(Store):
    """A store that keeps bytes under keys, and may be shared by processes.

    Parameters:
        serializer: `msgpack`, `pickle`, or an object with `dumps` and `loads`; see `kirsch.sessions.serial`.
        clock: as `Store`.

    The key is a hash of the id: whoever reads the store cannot take over a session, and no text from outside
    becomes a file name or a key.
    """

    def __init__(
        self, *, serializer: str | Serializer = "msgpack", clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(clock=clock)
        self._serializer = find_serializer(serializer)
        self._head = _MAGIC + self._serializer.mark
        self._local = LocalLocks()

    def key(self, session_id: str) -> str:
        """Return what stands for an id in the store: its SHA-256, 64 hexadecimal digits."""
        import hashlib

        return hashlib.sha256(session_id.encode()).hexdigest()

    def encode(self, record: Record) -> bytes:
        """Return a record as bytes. Raises UnstorableError, which names the place in the session."""
        # The data is serialised on its own so that an error's place begins with the session's key.
        data = self._serializer.dumps(record.data)
        envelope = [record.expires, record.created, record.user, data]
        return self._head + self._serializer.dumps(envelope)

    def decode(self, raw: bytes) -> Record:
        """Return the record, expired or not. Raises ValueError for bytes that hold none."""
        if raw[: len(self._head)] != self._head:
            raise ValueError("it was not written by this serializer")
        try:
            expires, created, user, data = self._serializer.loads(raw[len(self._head) :])
            values = self._serializer.loads(data)
        except Exception as error:  # the boundary of the serialiser: pickle may raise anything
            raise ValueError(f"it cannot be read: {type(error).__name__}") from error
        if not (isinstance(values, dict) and isinstance(expires, float) and isinstance(created, float)):
            raise ValueError("it holds no session")  # noqa: TRY004  what callers expect of bad bytes
        return Record(values, expires, created, user if isinstance(user, str) else None, raw)

    def original(self, record: Record) -> dict[Any, Any]:
        """See `Store`."""
        return self.decode(record.raw).data if record.raw else record.data

    def _read(self, raw: bytes, name: str) -> Record | None:
        """Return the record in `raw` unless it has expired. Raises ValueError after logging; see `decode`."""
        try:
            record = self.decode(raw)
        except ValueError as error:
            _log.warning("The session stored as %s is dropped: %s.", name, error)
            raise
        return record if record.expires > self.clock() else None


class TokenStore(EncodedStore):
    """A store whose locks are tokens in it, which expire: a process that dies holds nobody up for long.

    Parameters:
        lock_expiry: seconds after which a lock is given up for lost. A request that takes longer saves by
            merging what it changed.
        serializer: as `EncodedStore`.
        clock: as `Store`.
    """

    def __init__(
        self,
        *,
        lock_expiry: float = 60,
        serializer: str | Serializer = "msgpack",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(serializer=serializer, clock=clock)
        self.lock_expiry = lock_expiry
        """Seconds after which a lock is given up for lost."""

    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Lock:
        """See `Store`."""
        import secrets

        key = self.key(session_id)
        token = secrets.token_hex(16)
        deadline = time.monotonic() + timeout
        # Threads of this process queue here, so that at most one of them asks the store.
        local = self._local.acquire(key, timeout, waiters)
        try:
            wait_for(lambda: self._try_lock(key, token), deadline)
        except BaseException:
            local.release()
            raise
        until = time.monotonic() + self.lock_expiry * _HELD_SHARE
        return SharedLock(local, lambda: self._give_back(key, token), until)

    def _give_back(self, key: str, token: str) -> None:
        try:
            self._unlock(key, token)
        except StoreUnavailableError:
            _log.warning("A session's lock was not given back; it expires by itself.")

    @abstractmethod
    def _try_lock(self, key: str, token: str) -> bool:
        """Take the lock of `key` if it is free. Return whether it was."""

    @abstractmethod
    def _unlock(self, key: str, token: str) -> None:
        """Remove the lock of `key` if it is still that of `token`. May raise StoreUnavailableError."""


@contextmanager
def reach(*errors: type[Exception]) -> Iterator[None]:
    """Turn `errors` of a store's library into a StoreUnavailableError, and log them."""
    try:
        yield
    except errors as error:
        # The first line alone: SQLAlchemy's others hold the statement, with what it was to store.
        text = str(error).partition("\n")[0]
        _log.error("The store of the sessions failed: %s: %s", type(error).__name__, text)
        raise StoreUnavailableError from error
