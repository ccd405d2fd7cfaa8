from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest
from pymemcache import HashClient  # type: ignore[import-untyped]

from kirsch.sessions.errors import LockTimeoutError, StoreUnavailableError
from kirsch.sessions.memcached import MemcachedStore
from kirsch.sessions.store import Record

if TYPE_CHECKING:
    from tests.sessions.helpers import Clock

ID = "1" * 43


def record(clock: Clock, life: float = 60) -> Record:
    return Record({"x": 1}, clock() + life, clock())


@pytest.mark.parametrize("life", [0.4, 60, 29 * 86400, 31 * 86400, 400 * 86400])
def test_short_and_long_lives_are_kept(memcached_server: str, clock: Clock, life: float) -> None:
    with MemcachedStore([memcached_server], prefix=f"life{life}", clock=clock) as store:
        store.save(ID, record(clock, life))
        assert store.load(ID) is not None


def test_a_life_that_is_over_is_over_at_once(memcached_server: str, clock: Clock) -> None:
    with MemcachedStore([memcached_server], prefix="over", clock=clock) as store:
        store.save(ID, record(clock, -1))
        assert store._client.get(store._session(store.key(ID))) is None


def test_one_server_may_be_given_as_text(memcached_server: str, clock: Clock) -> None:
    with MemcachedStore(memcached_server, prefix="text", clock=clock) as store:
        store.save(ID, record(clock))
        assert store.load(ID) is not None


def test_a_lock_is_given_back_by_its_owner_alone(memcached_server: str) -> None:
    with (
        MemcachedStore([memcached_server], prefix="own") as one,
        MemcachedStore([memcached_server], prefix="own") as two,
    ):
        first = one.lock(ID, 1)
        with pytest.raises(LockTimeoutError):
            two.lock(ID, 0.02)
        one._client.delete(one._lock_name(one.key(ID)), noreply=False)
        second = two.lock(ID, 1)
        first.release()
        with pytest.raises(LockTimeoutError):
            one.lock(ID, 0.02)
        second.release()
        one.lock(ID, 0).release()


def test_bytes_that_are_no_session_are_removed(
    memcached_server: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with MemcachedStore([memcached_server], prefix="bad", clock=clock) as store:
        name = store._session(store.key(ID))
        store._client.set(name, b"\x80\x04N.", noreply=False)
        with caplog.at_level(logging.WARNING):
            assert store.load(ID) is None
        assert store._client.get(name) is None
    assert "is dropped" in caplog.text


def test_a_client_of_the_program_is_used_and_left_open(memcached_server: str, clock: Clock) -> None:
    client = HashClient([memcached_server], use_pooling=True)
    with MemcachedStore(client=client, prefix="mine", clock=clock) as store:
        store.save(ID, record(clock))
        name = store._session(store.key(ID))
    assert client.get(name) is not None
    client.close()


def test_a_record_there_is_no_place_for_is_a_503(memcached_server: str, clock: Clock) -> None:
    with MemcachedStore([memcached_server], prefix="big", clock=clock) as store:
        with pytest.raises(StoreUnavailableError):
            store.save(ID, Record({"x": "x" * 3_000_000}, clock() + 60, clock()))
        assert store.load(ID) is None


def test_a_server_that_is_away_is_a_503_and_no_empty_store(caplog: pytest.LogCaptureFixture) -> None:
    store = MemcachedStore(["unix:/nonexistent/m.sock"])
    for _ in range(3):
        with caplog.at_level(logging.ERROR), pytest.raises(StoreUnavailableError):
            store.load(ID)
    store.close()
    assert "The store of the sessions failed" in caplog.text


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymemcache", None)
    with pytest.raises(ImportError, match="pymemcache"):
        MemcachedStore()
