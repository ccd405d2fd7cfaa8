from __future__ import annotations

import builtins
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http.exchange import Exchange, RequestHead
from kirsch.http.pace import Pace
from kirsch.supervise import worker as module
from kirsch.supervise.link import Link, pair
from kirsch.supervise.worker import Tally, Worker, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = 20.0


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Link, Worker]]:
    """The supervisor's end, and the worker at the other, whose heart beats fast."""
    monkeypatch.setattr(module, "BEAT", 0.001)
    ours, theirs = pair()
    with theirs:
        worker = Worker(theirs.fileno())
    yield ours, worker
    worker._ended.set()
    ours.close()
    worker._link.close()


def at_once(task: Callable[[], None]) -> None:
    task()


def never(seconds: float) -> None:
    pytest.fail("nobody has asked for it")


class Hello:
    exchange_type = Exchange

    def __init__(self) -> None:
        self._pace = Pace()

    def pace(self, head: RequestHead) -> Pace:
        return self._pace

    def __call__(self, exchange: Exchange) -> None:
        exchange.status = "200 OK"


def test_a_tally_counts_and_is_the_same_gateway_otherwise() -> None:
    hello = Hello()
    tally = Tally(hello)
    head = RequestHead("GET", "/", "/", "", 1, ())
    exchange = tally.exchange_type(head, None, 0, None)  # type: ignore[arg-type]
    tally(exchange)
    tally(exchange)
    assert tally.requests == 2
    assert exchange.status == "200 OK"
    assert tally.pace(head) is hello.pace(head)


def test_a_worker_says_that_it_is_ready_and_then_that_it_lives(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    counted = iter(range(1000))
    worker.ready(lambda: {"requests": next(counted)}, at_once, never)
    messages = ours.messages()
    assert next(messages) == {"ready": True, "facts": {"requests": 0}}
    assert next(messages) == {"facts": {"requests": 1}}
    assert next(messages) == {"facts": {"requests": 2}}
    worker.leave()
    assert any(message == {"leaving": True} for message in messages)


def test_there_is_no_sign_of_life_while_the_leader_gives_none(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    asked = threading.Event()
    answer: list[Callable[[], None]] = []

    def probe(task: Callable[[], None]) -> None:
        answer.append(task)
        asked.set()

    worker.ready(dict, probe, never)
    messages = ours.messages()
    assert "ready" in next(messages)
    assert asked.wait(WAIT)
    next(messages)  # the one that went with the question
    assert len(answer) == 1
    asked.clear()
    assert not asked.wait(0.02), "twenty beats, and no answer yet"
    answer[0]()
    assert asked.wait(WAIT)
    assert next(messages) == {"facts": {}}


def test_a_worker_that_has_had_enough_says_so_once(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    worker.limit(100, 0)
    assert 90 <= worker._max_requests <= 110
    requests = [80]
    worker.ready(lambda: {"requests": requests[0]}, at_once, never)
    messages = ours.messages()
    next(messages)
    assert next(messages) == {"facts": {"requests": 80}}
    requests[0] = 111
    wishes = [message for _, message in zip(range(40), messages, strict=False) if "recycle" in message]
    assert wishes == [{"recycle": "has answered 111 requests"}]


def test_a_worker_that_has_grown_says_so(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    worker.limit(0, 1024**2)
    worker.ready(lambda: {"memory": 3 * 1024**2, "requests": 10**9}, at_once, never)
    wish = next(message for message in ours.messages() if "recycle" in message)
    assert wish == {"recycle": "takes 3 MiB of memory"}


def test_workers_with_the_same_number_differ() -> None:
    ours, theirs = pair()
    with theirs:
        workers = [Worker(theirs.fileno()) for _ in range(10)]
    for worker in workers:
        worker.limit(10_000, 0)
        worker._link.close()
    assert len({worker._max_requests for worker in workers}) > 1
    ours.close()


def test_a_worker_whose_supervisor_is_gone_stops_as_by_sigterm(
    ends: tuple[Link, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, worker = ends
    signalled = threading.Event()
    sent: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        sent.append((pid, number))
        signalled.set()

    monkeypatch.setattr(os, "kill", kill)
    worker.listen()
    ours.close()
    assert signalled.wait(WAIT)
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_worker_that_has_been_replaced_lets_its_clients_go_and_then_stops(
    ends: tuple[Link, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, worker = ends
    did: queue.SimpleQueue[object] = queue.SimpleQueue()
    monkeypatch.setattr(os, "kill", lambda pid, number: did.put(number))
    worker.listen()
    worker.ready(dict, at_once, did.put)
    ours.send(nonsense=1)
    ours.send(retire=2.5)
    assert did.get(timeout=WAIT) == 2.5
    assert did.get(timeout=WAIT) == signal.SIGTERM


def test_a_worker_that_is_replaced_before_it_serves_just_stops(
    ends: tuple[Link, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, worker = ends
    did: queue.SimpleQueue[object] = queue.SimpleQueue()
    monkeypatch.setattr(os, "kill", lambda pid, number: did.put(number))
    worker.listen()
    ours.send(retire=2.5)
    assert did.get(timeout=WAIT) == signal.SIGTERM


def test_a_worker_that_stops_already_is_left_alone(
    ends: tuple[Link, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, worker = ends
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("it is ending by itself"))
    worker.leave()
    before = set(threading.enumerate())
    worker.listen()
    (lifeline,) = set(threading.enumerate()) - before
    ours.close()
    lifeline.join(WAIT)
    assert not lifeline.is_alive()


def test_a_failure_is_told_and_whether_anybody_heard(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    assert worker.failed("There is no module x.", "Traceback ...\n", 2)
    assert next(iter(ours.messages())) == {"failed": ["There is no module x.", "Traceback ...\n", 2]}
    ours.close()
    assert not worker.failed("again", "", 1)


def test_the_heart_stops_when_nobody_listens(ends: tuple[Link, Worker]) -> None:
    ours, worker = ends
    before = set(threading.enumerate())
    worker.ready(dict, at_once, never)
    heart = next(iter(set(threading.enumerate()) - before))
    ours.close()
    heart.join(WAIT)
    assert not heart.is_alive()


def test_resident_memory_is_that_of_this_process() -> None:
    size = resident_bytes()
    assert size is not None
    assert 2**20 < size < 2**40


def test_without_proc_psutil_is_asked_and_without_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", gone)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=12345))
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    assert resident_bytes() == 12345
    imported = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "psutil":
            raise ImportError
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert resident_bytes() is None
