"""Sessions in an SQL database, by SQLAlchemy 2. Needs the package `SQLAlchemy` and a driver."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from kirsch.sessions.store import Record, TokenStore, reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from kirsch.sessions.serial import Serializer

__all__ = ["SQLStore"]

_KEY_LENGTH: Final = 64
"""Characters of a hash in hexadecimal."""

_SQLITE_WAIT_S: Final = 10.0
"""Seconds SQLite waits for another writer; each holds the file for a statement."""


class SQLStore(TokenStore):
    """Sessions in two tables of a database, `PREFIXsessions` and `PREFIXsession_locks`.

    Parameters:
        url: of the database, as SQLAlchemy has it: `postgresql+psycopg://...`, `sqlite:////var/lib/x.db`.
        engine: an engine to use instead of a URL.
        prefix: what the names of the tables begin with.
        create: whether the tables are made if they are not there.
        lock_expiry: as `TokenStore`. Machines that share a database need clocks that agree within it.
        serializer: as `EncodedStore`.
        clock: as `Store`.

    A file of SQLite is made with mode 0600 and in WAL mode. Raises ImportError without the package,
    ValueError without a database.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        engine: Engine | None = None,
        prefix: str = "kirsch_",
        create: bool = True,
        lock_expiry: float = 60,
        serializer: str | Serializer = "msgpack",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(lock_expiry=lock_expiry, serializer=serializer, clock=clock)
        import sqlalchemy as sa

        if engine is None and url is None:
            raise ValueError("the SQL store needs a database; set tools.sessions.url, or engine")
        self._sa: Any = sa
        self._owned = engine is None
        self._engine = _make_engine(url or "") if engine is None else engine
        tables = sa.MetaData()
        self._sessions = sa.Table(
            f"{prefix}sessions",
            tables,
            sa.Column("id", sa.String(_KEY_LENGTH), primary_key=True),
            sa.Column("expires", sa.Double, nullable=False, index=True),
            sa.Column("owner", sa.String(_KEY_LENGTH), index=True),
            sa.Column("data", sa.LargeBinary, nullable=False),
        )
        self._locks = sa.Table(
            f"{prefix}session_locks",
            tables,
            sa.Column("id", sa.String(_KEY_LENGTH), primary_key=True),
            sa.Column("token", sa.String(32), nullable=False),
            sa.Column("expires", sa.Double, nullable=False),
        )
        if create:
            with reach(sa.exc.SQLAlchemyError):
                self._create(tables)

    def _create(self, tables: Any) -> None:
        try:
            tables.create_all(self._engine)
        except self._sa.exc.DBAPIError:
            # Another process has made them since we looked.
            tables.create_all(self._engine)

    def _execute(self, statement: Any) -> int:
        """Run a statement in a transaction of its own; return how many rows it concerned."""
        with reach(self._sa.exc.SQLAlchemyError), self._engine.begin() as connection:
            return int(connection.execute(statement).rowcount)

    def load(self, session_id: str) -> Record | None:
        """See `Store`."""
        key = self.key(session_id)
        table = self._sessions
        with reach(self._sa.exc.SQLAlchemyError), self._engine.connect() as connection:
            raw = connection.execute(self._sa.select(table.c.data).where(table.c.id == key)).scalar()
        if raw is None:
            return None
        try:
            return self._read(bytes(raw), key)
        except ValueError:
            self._execute(table.delete().where(table.c.id == key))
            return None

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """See `Store`."""
        raw = self.encode(record)
        key = self.key(session_id)
        table = self._sessions
        owner = None if record.user is None else self.key(record.user)
        values = {"data": raw, "expires": record.expires, "owner": owner}
        if replaces is None:
            self._execute(table.insert().values(id=key, **values))
            return True
        if raw == replaces.raw:
            with reach(self._sa.exc.SQLAlchemyError), self._engine.connect() as connection:
                found = connection.execute(self._sa.select(table.c.id).where(table.c.id == key)).scalar()
            return found is not None
        return self._execute(table.update().where(table.c.id == key).values(**values)) > 0

    def delete(self, session_id: str) -> bool:
        """See `Store`."""
        table = self._sessions
        return self._execute(table.delete().where(table.c.id == self.key(session_id))) > 0

    def sweep(self) -> int:
        """See `Store`. One statement; forgets locks of processes that died too."""
        now = self.clock()
        self._execute(self._locks.delete().where(self._locks.c.expires <= now))
        return self._execute(self._sessions.delete().where(self._sessions.c.expires <= now))

    def count(self) -> int:
        """See `Store`."""
        table = self._sessions
        query = self._sa.select(self._sa.func.count()).where(table.c.expires > self.clock())
        with reach(self._sa.exc.SQLAlchemyError), self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def delete_user(self, user: str, keep: str | None = None) -> int:
        """See `Store`."""
        table = self._sessions
        statement = table.delete().where(table.c.owner == self.key(user))
        if keep is not None:
            statement = statement.where(table.c.id != self.key(keep))
        return self._execute(statement)

    def close(self) -> None:
        """Close the connections, unless the engine is somebody else's."""
        if self._owned:
            self._engine.dispose()

    def _try_lock(self, key: str, token: str) -> bool:
        now = self.clock()
        table = self._locks
        values = {"token": token, "expires": now + self.lock_expiry}
        # A lock that is held may be that of a process that died.
        taken = table.update().where(table.c.id == key, table.c.expires <= now).values(**values)
        held = self._sa.select(table.c.id).where(table.c.id == key)
        with reach(self._sa.exc.SQLAlchemyError):
            with self._engine.connect() as connection:
                found = connection.execute(held).scalar()
            if found is not None:
                return self._execute(taken) > 0
            try:
                with self._engine.begin() as connection:
                    connection.execute(table.insert().values(id=key, **values))
            except self._sa.exc.IntegrityError:
                return False
        return True

    def _unlock(self, key: str, token: str) -> None:
        table = self._locks
        self._execute(table.delete().where(table.c.id == key, table.c.token == token))


def _make_engine(url: str) -> Engine:
    import sqlalchemy as sa

    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    if parsed.database and parsed.database != ":memory:":
        # Before SQLite makes it by the umask; its other files take its mode over.
        os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT, 0o600))
    engine = sa.create_engine(parsed, connect_args={"timeout": _SQLITE_WAIT_S}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # Readers and a writer side by side, and no wait for the disk per statement: a power cut may cost the
        # last seconds, never the file (SQLite manual, PRAGMA synchronous).
        connection.execute("PRAGMA journal_mode=WAL").close()
        connection.execute("PRAGMA synchronous=NORMAL").close()

    return engine
