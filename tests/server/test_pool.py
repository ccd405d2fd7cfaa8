"""The pool: threads that begin, serve, fail without ending, and end."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from kirsch.bus import Bus, ThreadManager
from kirsch.http.exchange import Exchange, RequestHead
from kirsch.http.pace import SHORT_NS, Pace
from kirsch.server.pool import BusThreads, Pool, ThreadHooks
from tests.server.harness import WAIT, Log, thread_names
from tests.server.stage import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.http.exchange import Link
    from kirsch.server.connection import Connection


class Hooks(ThreadHooks):
    """Notes which thread said what; raises `error` when there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[tuple[str, str]] = []
        self.error = error

    def started(self) -> None:
        self._note("started")

    def stopped(self) -> None:
        self._note("stopped")

    def _note(self, what: str) -> None:
        self.told.append((what, threading.current_thread().name))
        if self.error is not None:
            raise self.error


class Answering:
    """A connection as far as the pool looks at it."""

    def __init__(self, answer: Callable[[Exchange], None]) -> None:
        self.answer = answer
        self.released = threading.Semaphore(0)

    def release(self) -> None:
        self.released.release()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def pool(log: Log, hooks: Hooks) -> Iterator[Pool]:
    pool = Pool(2, hooks, "pond", log)
    pool.start()
    yield pool
    pool.stop(WAIT)


def exchange() -> Exchange:
    return Exchange(RequestHead("GET", "/", "/", "", 1, ()), None, 0, cast("Link", None))


def put(pool: Pool, answer: Callable[[Exchange], None], what: Exchange | None = None) -> Answering:
    connection = Answering(answer)
    pool.put(cast("Connection", connection), what or exchange())
    return connection


def test_the_threads_are_as_many_as_asked_for_and_have_names(pool: Pool) -> None:
    assert {"pond worker 0", "pond worker 1"} <= thread_names()


def test_every_thread_is_told_of_once_at_its_begin_and_end(pool: Pool, hooks: Hooks) -> None:
    pool.stop(WAIT)

    for name in ("pond worker 0", "pond worker 1"):
        assert [what for what, thread in hooks.told if thread == name] == ["started", "stopped"]


def test_hooks_that_say_nothing_are_fine(log: Log) -> None:
    pool = Pool(1, ThreadHooks(), "pond", log)
    pool.start()

    assert pool.stop(WAIT) == []
    assert log.messages == []


def test_a_hook_that_fails_costs_no_thread(log: Log) -> None:
    pool = Pool(2, Hooks(ValueError("hook")), "pond", log)
    pool.start()
    done = threading.Event()
    pool.call(done.set)

    assert done.wait(WAIT)

    assert pool.stop(WAIT) == []
    assert sorted(log.messages) == [
        "The hook for the begin of a thread raised an error.",
        "The hook for the begin of a thread raised an error.",
        "The hook for the end of a thread raised an error.",
        "The hook for the end of a thread raised an error.",
    ]


def test_an_exchange_is_answered_and_its_connection_released(pool: Pool) -> None:
    answered: list[tuple[Exchange, str]] = []
    what = exchange()

    connection = put(pool, lambda each: answered.append((each, threading.current_thread().name)), what)

    assert connection.released.acquire(timeout=WAIT)
    [(got, thread)] = answered
    assert got is what
    assert thread.startswith("pond worker ")


def test_tasks_that_fail_cost_no_worker(pool: Pool, log: Log) -> None:
    def fail(_: Exchange) -> None:
        raise ValueError

    failing = [put(pool, fail) for _ in range(5)]
    for _ in range(5):
        pool.call(lambda: fail(exchange()))
    both = threading.Barrier(3)

    def meet() -> None:
        both.wait(WAIT)

    pool.call(meet)
    pool.call(meet)

    meet()

    assert all(connection.released.acquire(timeout=WAIT) for connection in failing)
    assert log.messages == ["A worker thread met an error of the server itself."] * 10
    assert pool.running == {}


def test_what_runs_can_be_seen_and_since_when(pool: Pool) -> None:
    running, free = threading.Event(), threading.Event()

    def answer(_: Exchange) -> None:
        running.set()
        free.wait(WAIT)

    what = exchange()
    connection = put(pool, answer, what)
    assert running.wait(WAIT)

    [(thread, (seen, since))] = pool.running.items()

    assert seen is what
    assert since > 0
    assert thread in {each.ident for each in threading.enumerate() if each.name.startswith("pond")}
    free.set()
    assert connection.released.acquire(timeout=WAIT)
    until(lambda: pool.running == {})


def test_what_waits_is_counted(pool: Pool) -> None:
    taken, free = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        taken.release()
        free.wait(WAIT)

    for _ in range(5):
        pool.call(hold)
    assert all(taken.acquire(timeout=WAIT) for _ in range(2))

    assert pool.waiting == 3

    free.set()


class Watch(Pace):
    """Notes what is observed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int, bool]] = []

    def observe(self, wall_ns: int, cpu_ns: int, *, leading: bool) -> None:
        self.seen.append((wall_ns, cpu_ns, leading))


@pytest.mark.parametrize("fails", [False, True])
def test_the_pace_learns_wall_time_and_cpu_time(pool: Pool, fails: bool) -> None:
    waited = threading.Event()

    def answer(_: Exchange) -> None:
        waited.wait(0.005)
        if fails:
            raise ValueError

    what = exchange()
    what.pace = pace = Watch()
    connection = put(pool, answer, what)
    assert connection.released.acquire(timeout=WAIT)

    [(wall, cpu, leading)] = pace.seen
    assert wall >= 5_000_000
    assert 0 <= cpu < wall
    assert not leading


def test_a_kind_that_is_short_four_times_is_trusted(pool: Pool) -> None:
    pace = Pace()
    for _ in range(50):
        what = exchange()
        what.pace = pace
        assert put(pool, lambda _: None, what).released.acquire(timeout=WAIT)
        if pace.short:
            break
    assert pace.short
    assert SHORT_NS > 0


def test_a_worker_does_not_hold_on_to_what_it_did(pool: Pool) -> None:
    class Kept(Exchange):
        __slots__ = ("__weakref__",)

    what: Exchange | None = Kept(RequestHead("GET", "/", "/", "", 1, ()), None, 0, cast("Link", None))
    gone = weakref.ref(cast("Exchange", what))
    connection = put(pool, lambda _: None, what)
    what = None
    assert connection.released.acquire(timeout=WAIT)

    until(lambda: gone() is None)


def test_stop_does_what_waits_first_and_leaves_no_thread(pool: Pool) -> None:
    done: list[int] = []
    for number in range(100):
        pool.call(partial(done.append, number))

    assert pool.stop(WAIT) == []

    assert sorted(done) == list(range(100))
    assert not any(name.startswith("pond") for name in thread_names())


def test_a_stuck_thread_is_given_back_by_stop(pool: Pool) -> None:
    stuck, free = threading.Event(), threading.Event()

    def hold() -> None:
        stuck.set()
        free.wait(WAIT)

    pool.call(hold)
    assert stuck.wait(WAIT)

    [left] = pool.stop(0.05)

    assert left.name.startswith("pond worker ")
    assert left.daemon
    free.set()
    left.join(WAIT)
    assert not left.is_alive()


def test_a_stopped_pool_stops_at_once(pool: Pool) -> None:
    assert pool.stop(WAIT) == []
    assert pool.stop(0) == []


def test_a_worker_can_stop_its_own_pool(pool: Pool) -> None:
    left: list[list[threading.Thread]] = []
    done = threading.Event()

    def stop() -> None:
        left.append(pool.stop(WAIT))
        done.set()

    pool.call(stop)

    assert done.wait(WAIT)
    [[me]] = left
    me.join(WAIT)
    assert not me.is_alive()


def test_a_bus_is_told_of_each_thread_that_serves_and_numbers_them() -> None:
    bus = Bus()
    manager = ThreadManager(bus)
    manager.subscribe()
    begun: list[int] = []
    ended: list[int] = []
    bus.subscribe("start_thread", begun.append)
    bus.subscribe("stop_thread", ended.append)
    pool = Pool(3, BusThreads(bus), "test", Log())

    pool.start()
    assert pool.stop(WAIT) == []

    assert sorted(begun) == [1, 2, 3]
    assert sorted(ended) == [1, 2, 3]


def test_a_listener_that_fails_costs_no_thread() -> None:
    bus = Bus()
    bus.subscribe("log", lambda *_: None)
    bus.subscribe("acquire_thread", lambda: 1 // 0)
    bus.subscribe("release_thread", lambda: 1 // 0)
    pool = Pool(1, BusThreads(bus), "test", Log())
    done = threading.Event()

    pool.start()
    pool.call(done.set)

    assert done.wait(WAIT)
    assert pool.stop(WAIT) == []
