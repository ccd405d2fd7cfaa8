"""The leader rule, step by step with the deputy's moves made by the test, and once for real."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.http.exchange import Exchange, RequestHead
from kirsch.server.connection import Connection
from kirsch.server.phases import CLOSED, HANDLER, IDLE
from tests.server.harness import GET, WAIT, Client, serving, thread_names, trust
from tests.server.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_an_unknown_kind_of_request_goes_to_the_pool(stage: Stage) -> None:
    connection = stage.connect()
    stage.batch(connection)

    stage.play()

    assert [each for each, _ in stage.pooled] == [connection]
    assert connection.busy


def test_a_short_kind_of_request_is_answered_by_the_leader_itself(stage: Stage) -> None:
    stage.gateway.kind.short = True
    ran_in: list[str] = []

    def handle(_: Exchange) -> bytes:
        ran_in.append(threading.current_thread().name)
        return b"ok"

    stage.gateway.handle = handle
    stage.batch(stage.connect())

    stage.play()

    assert ran_in == [threading.current_thread().name]
    assert stage.pooled == []
    assert stage.clients[0].recv(9999).endswith(b"\r\n\r\nok")


def test_nothing_runs_on_the_leader_when_the_setting_says_so(stage: Stage) -> None:
    stage.gateway.kind.short = True
    stage.loop.inline = False
    stage.batch(stage.connect())

    stage.play()

    assert len(stage.pooled) == 1


def test_the_baton_lies_there_only_while_a_handler_runs(stage: Stage) -> None:
    stage.gateway.kind.short = True
    lying: list[list[Exchange]] = []

    def handle(_: Exchange) -> bytes:
        lying.append(list(stage.loop._baton))
        return b"ok"

    stage.gateway.handle = handle
    stage.batch(stage.connect())

    stage.play()

    assert [len(each) for each in lying] == [1]
    assert stage.loop._baton == []


def test_a_deputy_takes_the_lead_and_the_rest_of_the_batch_from_a_caught_leader(stage: Stage) -> None:
    stage.gateway.kind.short = True
    caught, waiting = stage.connect(), stage.connect()
    answered_meanwhile: list[bytes] = []

    def handle(exchange: Exchange) -> bytes:
        if exchange.link is caught and not answered_meanwhile:
            # Here the deputy looks twice, and leads: the other connection of the batch is served by it.
            assert stage.loop.take_lead(exchange)
            stage.gateway.kind.short = True
            stage.play()
            answered_meanwhile.append(stage.clients[1].recv(9999))
        return b"ok"

    stage.gateway.handle = handle
    stage.batch(caught, waiting)

    stage.play()

    assert answered_meanwhile[0].endswith(b"ok")
    assert stage.clients[0].recv(9999).endswith(b"ok")
    assert stage.appointed == ["deputy"]
    assert stage.loop.takeovers == 1


def test_a_leader_that_lost_the_lead_gives_its_connection_back_and_ends(stage: Stage) -> None:
    stage.gateway.kind.short = True
    caught = stage.connect()
    states: list[tuple[bool, int]] = []

    def handle(exchange: Exchange) -> bytes:
        stage.loop.take_lead(exchange)
        states.append((caught.busy, caught.state))
        return b"ok"

    stage.gateway.handle = handle
    stage.batch(caught)

    stage.play()

    assert states == [(True, HANDLER)]
    assert (caught.busy, caught.state) == (False, IDLE)
    assert len(stage.poller.waits) == 1


def test_a_fall_takes_the_kind_of_request_off_the_leader(stage: Stage) -> None:
    stage.gateway.kind.short = True

    def handle(exchange: Exchange) -> bytes:
        stage.loop.take_lead(exchange)
        return b"ok"

    stage.gateway.handle = handle
    stage.batch(stage.connect())

    stage.play()

    assert not stage.gateway.kind.short


def test_the_lead_cannot_be_taken_from_a_leader_that_is_done(stage: Stage) -> None:
    connection = stage.connect()
    exchange = Exchange(RequestHead("GET", "/", "/", "", 1, ()), None, 0, connection)

    assert not stage.loop.take_lead(exchange)
    assert stage.appointed == []


def test_what_comes_while_another_thread_owns_the_connection_is_served_after(stage: Stage) -> None:
    connection = stage.connect()
    stage.batch(connection)
    stage.play()
    stage.clients[0].sendall(GET)
    stage.batch(connection)
    stage.play()
    assert connection.missed

    owner, exchange = stage.pooled.pop()
    owner.answer(exchange)
    owner.release()
    stage.play()

    assert [each for each, _ in stage.pooled] == [connection]


def test_a_defect_of_the_server_costs_the_connection_and_not_the_leader(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = stage.connect(), stage.connect()
    stage.gateway.kind.short = True
    honest = Connection.on_event
    monkeypatch.setattr(
        Connection, "on_event", lambda self, event: 1 // 0 if self is broken else honest(self, event)
    )
    stage.batch(broken, good)

    stage.play()

    assert stage.log.seen("error of its own")
    assert broken.state == CLOSED
    assert stage.clients[1].recv(9999).endswith(b"ok")


def test_a_task_that_fails_does_not_end_the_leader(stage: Stage) -> None:
    done: list[int] = []
    stage.loop.call(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    stage.loop.call(lambda: done.append(1))

    stage.play()

    assert done == [1]
    assert stage.log.seen("error of its own")


def test_an_idle_loop_waits_without_an_end(stage: Stage) -> None:
    stage.play()

    assert stage.poller.waits == [None]


def test_a_loop_with_something_to_do_does_not_wait(stage: Stage) -> None:
    stage.loop.call(lambda: stage.loop.call(lambda: None))

    stage.play()

    assert stage.poller.waits == [0.0, None]


def test_a_stopped_loop_closes_what_it_has_and_says_so(stage: Stage) -> None:
    connection = stage.connect(b"")
    stage.loop.call(stage.loop.stop)

    stage.play()

    assert stage.loop.drained.is_set()
    assert connection.state == CLOSED


def test_the_date_is_brought_up_to_date_by_whoever_asks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 784111777.9)

    assert stage.loop.stamp() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: Kirsch\r\n"


def test_a_leader_caught_in_a_handler_is_relieved_for_real() -> None:
    freed = threading.Event()
    stuck = threading.Event()
    blocking: list[bool] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/wait" and blocking:
            stuck.set()
            assert freed.wait(WAIT)
        return [b"done"]

    with serving(application, threads=1) as server:
        trust(server, b"/wait")
        trust(server)
        blocking.append(True)
        with Client(server) as waiter, Client(server) as other:
            waiter.send(GET.replace(b"/ ", b"/wait "))
            assert stuck.wait(WAIT)
            # The only way to an answer is a new leader: the old one waits for what this request leads to.
            assert other.get()[2] == b"done"
            freed.set()
            assert waiter.response()[2] == b"done"
        assert server.loop is not None
        assert server.loop.takeovers >= 1
        assert {"kirsch leader", "kirsch deputy"} & thread_names()


def test_the_threads_have_names_that_explain_themselves() -> None:
    with serving(threads=2):
        names = thread_names()

    assert {"kirsch leader", "kirsch deputy", "kirsch worker 0", "kirsch worker 1"} <= names
