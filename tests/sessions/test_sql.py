from __future__ import annotations

import logging
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from kirsch.sessions.errors import LockTimeoutError, StoreUnavailableError
from kirsch.sessions.sql import SQLStore, _make_engine
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sessions.helpers import Clock

ID = "1" * 43


def url_of(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'x.db'}"


def record(clock: Clock, life: float = 60, user: str | None = None) -> Record:
    return Record({"x": 1}, clock() + life, clock(), user)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_file_of_sqlite_is_for_its_owner_alone(tmp_path: Path, clock: Clock) -> None:
    with SQLStore(url_of(tmp_path), clock=clock) as store:
        store.save(ID, record(clock))
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_neither_id_nor_user_is_in_the_table(tmp_path: Path, clock: Clock) -> None:
    with SQLStore(url_of(tmp_path), clock=clock) as store:
        store.save(ID, record(clock, user="anna"))
        with store._engine.connect() as connection:
            (row,) = connection.execute(sa.select(store._sessions)).all()
    assert len(row.id) == len(row.owner) == 64


def test_a_second_store_finds_the_tables_there(tmp_path: Path, clock: Clock) -> None:
    with SQLStore(url_of(tmp_path), clock=clock) as one:
        one.save(ID, record(clock))
        with SQLStore(url_of(tmp_path), clock=clock) as two:
            assert two.load(ID) is not None


def test_tables_made_by_another_process_meanwhile_are_used(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sa.MetaData.create_all
    calls = 0

    def lose_the_race(self: sa.MetaData, bind: Any) -> None:
        nonlocal calls
        calls += 1
        real(self, bind)
        if calls == 1:
            raise sa.exc.OperationalError("CREATE TABLE", None, Exception("it exists"))

    monkeypatch.setattr(sa.MetaData, "create_all", lose_the_race)
    with SQLStore(url_of(tmp_path), clock=clock) as store:
        assert store.count() == 0
    assert calls == 2


def test_tables_may_be_made_by_somebody_else(tmp_path: Path) -> None:
    with SQLStore(url_of(tmp_path), create=False) as store, pytest.raises(StoreUnavailableError):
        store.count()


def test_tables_have_the_names_they_are_given(tmp_path: Path) -> None:
    with SQLStore(url_of(tmp_path), prefix="shop_") as store:
        names = sa.inspect(store._engine).get_table_names()
    assert set(names) == {"shop_sessions", "shop_session_locks"}


def test_a_lock_is_given_back_by_its_owner_alone(tmp_path: Path, clock: Clock) -> None:
    url = url_of(tmp_path)
    with SQLStore(url, clock=clock, lock_expiry=10) as one, SQLStore(url, clock=clock) as two:
        first = one.lock(ID, 1)
        with pytest.raises(LockTimeoutError):
            two.lock(ID, 0.02)
        clock.move(seconds=11)
        second = two.lock(ID, 1)
        first.release()
        with pytest.raises(LockTimeoutError):
            one.lock(ID, 0.02)
        second.release()
        one.lock(ID, 0).release()


def test_a_lock_two_ask_for_at_once_goes_to_one(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of(tmp_path)
    with SQLStore(url, clock=clock) as one, SQLStore(url, clock=clock) as two:
        real = sa.Table.insert
        taken: list[Any] = []

        def other_first(self: sa.Table) -> Any:
            monkeypatch.undo()
            taken.append(two.lock(ID, 1))
            return real(self)

        monkeypatch.setattr(sa.Table, "insert", other_first)
        with pytest.raises(LockTimeoutError):
            one.lock(ID, 0.01)
        taken[0].release()


def test_locks_of_the_dead_are_swept(tmp_path: Path, clock: Clock) -> None:
    with SQLStore(url_of(tmp_path), clock=clock, lock_expiry=10) as store:
        assert store._try_lock("k", "t")
        clock.move(seconds=11)
        store.sweep()
        with store._engine.connect() as connection:
            assert connection.execute(sa.select(store._locks)).all() == []


def test_bytes_that_are_no_session_are_removed(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with SQLStore(url_of(tmp_path), clock=clock) as store:
        store.save(ID, record(clock))
        store._execute(store._sessions.update().values(data=b"\x80\x04N."))
        with caplog.at_level(logging.WARNING):
            assert store.load(ID) is None
        assert store.count() == 0
    assert "is dropped" in caplog.text


def test_an_engine_of_the_program_is_used_and_left_open(tmp_path: Path, clock: Clock) -> None:
    engine = sa.create_engine(url_of(tmp_path))
    with SQLStore(engine=engine, clock=clock) as store:
        store.save(ID, record(clock))
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(store._sessions)).scalar() == 1
    engine.dispose()


def test_a_database_that_is_away_is_a_503_that_logs_no_session(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with SQLStore(url_of(tmp_path), clock=clock) as store:
        store._execute(sa.text("DROP TABLE kirsch_sessions"))
        with caplog.at_level(logging.ERROR), pytest.raises(StoreUnavailableError):
            store.save(ID, Record({"secret": "hunter2"}, clock() + 1, clock()))
    assert "no such table" in caplog.text
    assert "hunter2" not in caplog.text
    assert store.key(ID) not in caplog.text


def test_a_database_in_memory_and_other_databases_get_engines() -> None:
    engine = _make_engine("sqlite://")
    assert engine.dialect.name == "sqlite"
    engine.dispose()
    with pytest.raises(ModuleNotFoundError):
        _make_engine("postgresql+psycopg2://x/y")


def test_a_store_needs_a_database() -> None:
    with pytest.raises(ValueError, match=r"set tools\.sessions\.url, or engine"):
        SQLStore()


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ImportError, match="sqlalchemy"):
        SQLStore("sqlite://")
