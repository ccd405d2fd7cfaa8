"""Sessions in the memory of this process: gone when it ends, unknown to other processes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kirsch.sessions.locks import LocalLocks
from kirsch.sessions.serial import find_serializer
from kirsch.sessions.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kirsch.sessions.locks import Lock
    from kirsch.sessions.serial import Serializer

__all__ = ["MemoryStore"]


class MemoryStore(Store):
    """Sessions in memory.

    Parameters:
        serializer: None keeps the objects themselves, of any type, and what is inside of them is shared by
            all requests of a session. `msgpack` keeps bytes as other stores do, which tells early what will
            not be kept elsewhere.
        clock: as `Store`.
    """

    def __init__(
        self, *, serializer: str | Serializer | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(clock=clock)
        self._serializer = None if serializer is None else find_serializer(serializer)
        # Guards changes of `_records` that depend on what is there; single look-ups go without.
        self._mutex = threading.Lock()
        self._records: dict[str, Record] = {}
        self._locks = LocalLocks()

    def load(self, session_id: str) -> Record | None:
        """See `Store`."""
        record = self._records.get(session_id)
        if record is None or record.expires <= self.clock():
            return None
        if self._serializer is not None:
            return record._replace(data=self._serializer.loads(record.raw))
        return record

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """See `Store`."""
        if self._serializer is not None:
            record = record._replace(data={}, raw=self._serializer.dumps(record.data))
        records = self._records
        with self._mutex:
            if replaces is not None and session_id not in records:
                return False
            records[session_id] = record
        return True

    def delete(self, session_id: str) -> bool:
        """See `Store`."""
        with self._mutex:
            return self._records.pop(session_id, None) is not None

    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Lock:
        """See `Store`."""
        return self._locks.acquire(session_id, timeout, waiters)

    def sweep(self) -> int:
        """See `Store`."""
        now = self.clock()
        return self._remove(lambda _, record: record.expires <= now)

    def count(self) -> int:
        """See `Store`."""
        return len(self._records)

    def delete_user(self, user: str, keep: str | None = None) -> int:
        """See `Store`."""
        return self._remove(lambda session_id, record: record.user == user and session_id != keep)

    def original(self, record: Record) -> dict[Any, Any]:
        """See `Store`."""
        return record.data if self._serializer is None else self._serializer.loads(record.raw)

    def _remove(self, unwanted: Callable[[str, Record], bool]) -> int:
        with self._mutex:
            gone = [
                session_id for session_id, record in self._records.items() if unwanted(session_id, record)
            ]
            for session_id in gone:
                del self._records[session_id]
        return len(gone)
