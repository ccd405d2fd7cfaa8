from __future__ import annotations

import threading
import time

import pytest

from kirsch.sessions.errors import LockTimeoutError
from kirsch.sessions.locks import LocalLocks, SharedLock, wait_for
from tests.sessions.helpers import is_held


def wait_until(locks: LocalLocks, waiting: int) -> None:
    """Wait until that many threads wait for the key."""
    end = time.monotonic() + 10
    while len(locks._waiting["k"] or ()) < waiting:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_key_has_one_holder() -> None:
    locks = LocalLocks()
    held = locks.acquire("k", 0)
    assert is_held(held)
    with pytest.raises(LockTimeoutError) as caught:
        locks.acquire("k", 0.01)
    assert caught.value.problem == "not free within 0.01 s"
    locks.acquire("other", 0).release()
    held.release()
    assert not is_held(held)
    locks.acquire("k", 0).release()


def test_only_keys_that_are_locked_take_memory() -> None:
    locks = LocalLocks()
    held = [locks.acquire(str(number), 0) for number in range(100)]
    assert len(locks) == 100
    for one in held:
        one.release()
        one.release()
    assert len(locks) == 0


def test_keys_are_handed_over_in_the_order_they_were_asked_for() -> None:
    locks = LocalLocks()
    first = locks.acquire("k", 0)
    order: list[int] = []

    def wait(number: int) -> None:
        held = locks.acquire("k", 10)
        order.append(number)
        held.release()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_until(locks, number + 1)
    first.release()
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]
    assert len(locks) == 0


def test_who_gives_up_is_passed_over() -> None:
    locks = LocalLocks()
    first = locks.acquire("k", 0)
    with pytest.raises(LockTimeoutError):
        locks.acquire("k", -1)
    got = threading.Event()

    def wait() -> None:
        locks.acquire("k", 10).release()
        got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(locks, 1)
    first.release()
    assert got.wait(10)
    thread.join(10)


def test_a_key_handed_over_as_the_wait_ends_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = LocalLocks()
    first = locks.acquire("k", 0)

    class Late:
        """A lock whose wait ends just before it is released."""

        def acquire(self, timeout: float = -1) -> bool:
            if timeout >= 0:
                first.release()
            return False

        def release(self) -> None:
            pass

    monkeypatch.setattr(threading, "Lock", Late)
    held = locks.acquire("k", 0)
    monkeypatch.undo()
    assert is_held(held)
    with pytest.raises(LockTimeoutError):
        locks.acquire("k", 0)
    held.release()
    assert len(locks) == 0


def test_more_than_may_wait_are_turned_away() -> None:
    locks = LocalLocks()
    first = locks.acquire("k", 0)
    thread = threading.Thread(target=lambda: locks.acquire("k", 10).release())
    thread.start()
    wait_until(locks, 1)
    with pytest.raises(LockTimeoutError) as caught:
        locks.acquire("k", 10, waiters=1)
    assert caught.value.problem == "1 requests wait for it already"
    first.release()
    thread.join(10)


def test_a_shared_lock_gives_back_the_shared_part_first_and_once() -> None:
    locks = LocalLocks()
    seen: list[int] = []
    lock = SharedLock(locks.acquire("k", 0), lambda: seen.append(len(locks)))
    assert is_held(lock)
    lock.release()
    lock.release()
    assert seen == [1]
    assert len(locks) == 0
    assert not is_held(lock)


def test_a_shared_lock_whose_shared_part_fails_still_frees_this_process() -> None:
    locks = LocalLocks()

    def fail() -> None:
        raise OSError

    lock = SharedLock(locks.acquire("k", 0), fail)
    with pytest.raises(OSError, match=r"^$"):
        lock.release()
    assert len(locks) == 0


def test_a_shared_lock_that_has_expired_is_not_held() -> None:
    lock = SharedLock(LocalLocks().acquire("k", 0), lambda: None, until=time.monotonic() - 1)
    assert not is_held(lock)


def test_waiting_asks_again_until_it_may_and_at_least_once() -> None:
    answers = iter([False, False, True])
    wait_for(lambda: next(answers), time.monotonic() + 10)
    wait_for(lambda: True, time.monotonic() - 1)
    with pytest.raises(LockTimeoutError) as caught:
        wait_for(lambda: False, time.monotonic() - 1)
    assert caught.value.problem == "held by another process"
