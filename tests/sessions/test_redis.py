from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest
import redis

from kirsch.sessions.errors import LockTimeoutError, StoreUnavailableError
from kirsch.sessions.redis import RedisStore
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sessions.helpers import Clock

ID = "1" * 43


@pytest.fixture(name="client")
def _client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client


def record(clock: Clock, life: float = 60, user: str | None = None) -> Record:
    return Record({"x": 1}, clock() + life, clock(), user)


def test_records_vanish_by_themselves(redis_url: str, client: redis.Redis, clock: Clock) -> None:
    with RedisStore(redis_url, clock=clock) as store:
        store.save(ID, record(clock, 60, "anna"))
        names = {str(name, "ascii") for name in client.scan_iter()}
        assert len(names) == 2
        assert all(0 < client.pttl(name) <= 60_000 for name in names)
        # Shorter than what is there: the index of the user must not end before its longest session.
        store.save("2" * 43, record(clock, 5, "anna"))
        assert min(client.pttl(name) for name in names) > 10_000


def test_neither_id_nor_user_is_in_the_database(redis_url: str, client: redis.Redis, clock: Clock) -> None:
    with RedisStore(redis_url, clock=clock) as store:
        store.save(ID, record(clock, user="anna@example.test"))
        names = b" ".join(client.scan_iter())
    assert ID.encode() not in names
    assert b"anna" not in names


def test_the_index_of_a_user_forgets_what_has_ended(
    redis_url: str, client: redis.Redis, clock: Clock
) -> None:
    with RedisStore(redis_url, clock=clock) as store:
        store.save(ID, record(clock, 10, "anna"))
        clock.move(seconds=11)
        store.save("2" * 43, record(clock, 60, "anna"))
        assert client.zcard(store._user("anna")) == 1


def test_a_lock_is_given_back_by_its_owner_alone(redis_url: str, client: redis.Redis) -> None:
    with RedisStore(redis_url, lock_expiry=60) as one, RedisStore(redis_url) as two:
        first = one.lock(ID, 1)
        with pytest.raises(LockTimeoutError):
            two.lock(ID, 0.02)
        # It expires, and somebody else takes it.
        client.delete(one._lock_name(one.key(ID)))
        second = two.lock(ID, 1)
        first.release()
        with pytest.raises(LockTimeoutError):
            one.lock(ID, 0.02)
        second.release()
        assert client.dbsize() == 0


def test_bytes_that_are_no_session_are_removed(
    redis_url: str, client: redis.Redis, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisStore(redis_url, clock=clock) as store:
        name = store._session(store.key(ID))
        client.set(name, b"\x80\x04N.")
        with caplog.at_level(logging.WARNING):
            assert store.load(ID) is None
        assert not client.exists(name)
    assert "is dropped" in caplog.text


def test_a_client_of_the_program_is_used_and_left_open(client: redis.Redis, clock: Clock) -> None:
    with RedisStore(client=client, clock=clock) as store:
        store.save(ID, record(clock))
    assert client.dbsize() == 1


def test_a_server_that_is_away_is_a_503_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    store = RedisStore("unix://:hunter2@/nonexistent/r.sock?db=0")
    with caplog.at_level(logging.ERROR), pytest.raises(StoreUnavailableError):
        store.load(ID)
    store.close()
    assert "The store of the sessions failed" in caplog.text
    assert "hunter2" not in caplog.text


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match="redis"):
        RedisStore()
