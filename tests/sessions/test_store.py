"""The contract, kept by every store."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.sessions.errors import LockTimeoutError, StoreUnavailableError
from kirsch.sessions.memory import MemoryStore
from kirsch.sessions.store import EncodedStore, Record, Store, TokenStore, reach
from tests.sessions.helpers import is_held

if TYPE_CHECKING:
    from tests.sessions.helpers import Clock

ONE, TWO, THREE = "1" * 43, "2" * 43, "3" * 43


def record(clock: Clock, user: str | None = None, life: float = 60, **data: Any) -> Record:
    return Record(data, clock() + life, clock(), user)


def test_what_is_saved_is_loaded(store: Store, clock: Clock) -> None:
    assert store.save(ONE, record(clock, "anna", a=[1, {"b": b"c"}]))
    found = store.load(ONE)
    assert found is not None
    assert found.data == {"a": [1, {"b": b"c"}]}
    assert (found.expires, found.created, found.user) == (clock() + 60, clock(), "anna")


def test_what_was_not_saved_is_not_there(store: Store) -> None:
    assert store.load(ONE) is None
    assert not store.delete(ONE)


def test_sessions_are_kept_apart(store: Store, clock: Clock) -> None:
    store.save(ONE, record(clock, x=1))
    store.save(TWO, record(clock, x=2))
    assert store.delete(ONE)
    assert store.load(ONE) is None
    found = store.load(TWO)
    assert found is not None
    assert found.data == {"x": 2}


def test_a_record_is_replaced_while_it_is_there(store: Store, clock: Clock) -> None:
    store.save(ONE, record(clock, x=1))
    before = store.load(ONE)
    assert before is not None
    assert store.save(ONE, before._replace(data={"x": 2}), before)
    after = store.load(ONE)
    assert after is not None
    assert after.data == {"x": 2}


@pytest.mark.parametrize("changed", [{"x": 1}, {"x": 2}])
def test_a_record_that_was_deleted_stays_deleted(store: Store, clock: Clock, changed: dict[str, int]) -> None:
    store.save(ONE, record(clock, x=1))
    before = store.load(ONE)
    assert before is not None
    assert store.delete(ONE)
    assert not store.save(ONE, before._replace(data=changed), before)
    assert store.load(ONE) is None


def test_a_record_that_is_as_it_was_is_still_there(store: Store, clock: Clock) -> None:
    store.save(ONE, record(clock, x=1))
    before = store.load(ONE)
    assert before is not None
    assert store.save(ONE, before, before)


def test_the_original_is_what_was_loaded_even_if_it_was_changed_inside(
    store: Store, clock: Clock, kind: str
) -> None:
    store.save(ONE, record(clock, x=[1]))
    found = store.load(ONE)
    assert found is not None
    found.data["x"].append(2)
    # Memory without a serialiser keeps the objects themselves.
    assert store.original(found) == {"x": [1, 2] if kind == "memory" else [1]}


def test_a_record_ends_at_its_time(store: Store, clock: Clock) -> None:
    store.save(ONE, record(clock, life=60))
    clock.move(seconds=59)
    assert store.load(ONE) is not None
    clock.move(seconds=1)
    assert store.load(ONE) is None


def test_sweeping_removes_what_has_ended_and_nothing_else(store: Store, clock: Clock, kind: str) -> None:
    store.save(ONE, record(clock, life=60))
    store.save(TWO, record(clock, life=120))
    clock.move(seconds=60)
    # Redis and memcached remove by themselves.
    assert store.sweep() == (0 if kind in {"redis", "memcached"} else 1)
    assert store.sweep() == 0
    assert store.load(TWO) is not None


def test_sessions_are_counted_where_they_can_be(store: Store, clock: Clock, kind: str) -> None:
    store.save(ONE, record(clock))
    store.save(TWO, record(clock))
    if kind == "memcached":
        with pytest.raises(NotImplementedError, match="cannot count"):
            store.count()
    else:
        assert store.count() == 2


def test_all_sessions_of_a_user_end_at_once_but_for_the_one_kept(
    store: Store, clock: Clock, kind: str
) -> None:
    store.save(ONE, record(clock, "anna"))
    store.save(TWO, record(clock, "anna"))
    store.save(THREE, record(clock, "bert"))
    if kind == "memcached":
        with pytest.raises(NotImplementedError, match="cannot find the sessions of a user"):
            store.delete_user("anna")
        return
    assert store.delete_user("anna", keep=ONE) == 1
    assert store.load(ONE) is not None
    assert store.load(TWO) is None
    assert store.delete_user("anna") == 1
    assert store.delete_user("anna") == 0
    assert store.load(THREE) is not None


def test_a_session_that_changed_hands_does_not_end_with_its_first_owner(
    store: Store, clock: Clock, kind: str
) -> None:
    store.save(ONE, record(clock, "anna"))
    before = store.load(ONE)
    assert before is not None
    store.save(ONE, before._replace(user="bert"), before)
    after = store.load(ONE)
    assert after is not None
    assert after.user == "bert"
    if kind == "memcached":
        return  # it cannot find the sessions of a user
    assert store.delete_user("anna") == 0
    assert store.delete_user("bert") == 1


def test_a_lock_keeps_others_out_until_it_is_given_back(store: Store) -> None:
    lock = store.lock(ONE, 1)
    assert is_held(lock)
    with pytest.raises(LockTimeoutError):
        store.lock(ONE, 0.02)
    store.lock(TWO, 0).release()
    lock.release()
    lock.release()
    assert not is_held(lock)
    store.lock(ONE, 0).release()


def test_who_waits_gets_the_lock_when_it_is_given_back(store: Store) -> None:
    lock = store.lock(ONE, 1)
    order: list[str] = []

    def wait() -> None:
        with_it = store.lock(ONE, 10)
        order.append("second")
        with_it.release()

    thread = threading.Thread(target=wait)
    thread.start()
    order.append("first")
    lock.release()
    thread.join(10)
    assert order == ["first", "second"]


def test_too_many_who_wait_are_turned_away_at_once(store: Store) -> None:
    lock = store.lock(ONE, 1)
    with pytest.raises(LockTimeoutError):
        store.lock(ONE, 60, waiters=0)
    lock.release()


def test_a_lock_may_be_given_back_by_another_thread(store: Store) -> None:
    lock = store.lock(ONE, 1)
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join(10)
    store.lock(ONE, 0).release()


# --- what stores have in common ---


class Dictionary(EncodedStore):
    """The smallest store of bytes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.kept: dict[str, bytes] = {}
        self.swept = 0

    def load(self, session_id: str) -> Record | None:
        raw = self.kept.get(self.key(session_id))
        return None if raw is None else self._read(raw, "it")

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        self.kept[self.key(session_id)] = self.encode(record)
        return True

    def delete(self, session_id: str) -> bool:
        return self.kept.pop(self.key(session_id), None) is not None

    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Any:
        return self._local.acquire(session_id, timeout, waiters)

    def sweep(self) -> int:
        self.swept += 1
        return 0

    def count(self) -> int:
        return len(self.kept)


class Tokens(TokenStore, Dictionary):
    """A store with tokens, whose locks can be looked at."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.tokens: dict[str, str] = {}
        self.broken = False

    lock = TokenStore.lock

    def _try_lock(self, key: str, token: str) -> bool:
        if self.broken:
            raise StoreUnavailableError
        return self.tokens.setdefault(key, token) == token

    def _unlock(self, key: str, token: str) -> None:
        if self.broken:
            raise StoreUnavailableError
        if self.tokens.get(key) == token:
            del self.tokens[key]


def test_the_id_is_not_in_the_store(clock: Clock) -> None:
    store = Dictionary(clock=clock)
    store.save(ONE, record(clock))
    ((key, raw),) = store.kept.items()
    assert ONE not in key
    assert ONE.encode() not in raw
    assert len(key) == 64


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        b"KS1m",
        b"KS1m\xc1",
        b"KS1m\x93\x01\x02\x03",
        b"KS1p\x80\x04N.",
        Dictionary().encode(Record({}, 1.0, 1.0))[:-1],
        b"KS1m" + b"\x94\x01\x02\xc0\xc4\x01\x80",
        b"KS1m" + b"\x94\xcb" + bytes(8) + b"\xcb" + bytes(8) + b"\xc0\xc4\x01\x90",
    ],
)
def test_bytes_that_are_no_session_are_refused_and_logged(
    raw: bytes, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Dictionary(clock=clock)
    store.kept[store.key(ONE)] = raw
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="it"):
        store.load(ONE)
    assert "is dropped" in caplog.text
    assert ONE not in caplog.text


def test_a_user_that_is_no_text_is_nobody() -> None:
    store = Dictionary()
    raw = store.encode(Record({}, 1.0, 1.0, 5))  # type: ignore[arg-type]
    assert store.decode(raw).user is None


def test_sweeps_are_as_far_apart_as_they_should_be(clock: Clock) -> None:
    store = Dictionary(clock=clock)
    for _ in range(3):
        store.tidy(300)
    assert store.swept == 1
    clock.move(seconds=300)
    store.tidy(300)
    assert store.swept == 2


def test_a_lock_that_has_expired_is_no_longer_held() -> None:
    store = Tokens(lock_expiry=0)
    lock = store.lock(ONE, 1)
    assert not is_held(lock)
    lock.release()
    assert not store.tokens
    assert is_held(Tokens(lock_expiry=60).lock(ONE, 1))


def test_a_lock_that_cannot_be_taken_leaves_nothing_locked() -> None:
    store = Tokens()
    store.broken = True
    with pytest.raises(StoreUnavailableError):
        store.lock(ONE, 1)
    store.broken = False
    store.lock(ONE, 0).release()


def test_a_lock_that_cannot_be_given_back_is_left_to_expire(caplog: pytest.LogCaptureFixture) -> None:
    store = Tokens()
    lock = store.lock(ONE, 1)
    store.broken = True
    with caplog.at_level(logging.WARNING):
        lock.release()
    assert "expires by itself" in caplog.text
    assert not is_held(lock)


def test_errors_of_a_library_become_a_503_and_the_first_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(StoreUnavailableError) as caught, reach(OSError):
        raise OSError("the disk is full\n[parameters: secret]")
    assert caught.value.code == 503
    assert "the disk is full" in caplog.text
    assert "secret" not in caplog.records[0].getMessage()
    with pytest.raises(KeyError), reach(OSError):
        raise KeyError


def test_a_store_is_closed_by_with(clock: Clock) -> None:
    with MemoryStore(clock=clock) as store:
        assert store.count() == 0
