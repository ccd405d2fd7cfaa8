"""What time does to connections, with a clock that the test moves, and the last phase of a server."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.server.answer import prepare
from kirsch.server.listener import open_listeners
from kirsch.server.phases import ASKED, BODY, CLOSED, HANDSHAKE, HEAD, IDLE, LINGER, WRITING
from tests.server.harness import GET, WAIT, Client, Log, serving, trust
from tests.server.stage import Stage, Steady, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.http.exchange import Exchange
    from kirsch.server.connection import Connection

POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stage]]:
    """Make stages whose clock stands still and whose requests run on the leader."""
    made: list[Stage] = []

    def make(**settings: Any) -> Stage:
        stage = Stage(**settings)
        stage.gateway.kind = Steady()
        stage.stop_the_clock(monkeypatch)
        stage.loop.reaper.due = stage.clock
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.close()


def deliver(stage: Stage, connection: Connection, data: bytes = b"") -> None:
    """Have `data` arrive at `connection`."""
    stage.clients[-1].sendall(data)
    stage.batch(connection)
    stage.play()


# ---- timeouts ------------------------------------------------------------------------------------------


def test_a_connection_without_a_request_is_closed_after_the_head_timeout(make: Callable[..., Stage]) -> None:
    stage = make(head_timeout=20)
    connection = stage.connect(b"")

    stage.tick(19)
    assert connection.state == IDLE
    stage.tick(2)

    assert connection.state == CLOSED
    assert stage.received() == b""


def test_an_idle_connection_is_closed_after_the_idle_timeout(make: Callable[..., Stage]) -> None:
    stage = make(idle_timeout=75, head_timeout=20)
    connection = stage.connect()
    deliver(stage, connection)
    stage.tick(74)
    deliver(stage, connection, GET)
    stage.received()

    stage.tick(74)
    assert connection.state == IDLE
    stage.tick(2)
    assert connection.state == LINGER
    assert stage.clients[0].recv(1) == b""


def test_what_a_gateway_keeps_for_a_connection_is_dropped_when_it_rests(make: Callable[..., Stage]) -> None:
    stage = make()
    connection = stage.connect()
    deliver(stage, connection)
    connection.derived = object()

    stage.tick(1)
    assert connection.derived is not None
    for _ in range(30):
        stage.tick(1)

    assert connection.derived is None
    assert connection.state == IDLE


def test_a_slow_head_gets_408(make: Callable[..., Stage]) -> None:
    stage = make(head_timeout=20)
    connection = stage.connect()
    deliver(stage, connection)
    stage.received()
    stage.tick(50)
    for _ in range(19):
        deliver(stage, connection, b"X")
        stage.tick(1)
    assert connection.state == HEAD

    stage.tick(2)

    assert stage.received().startswith(b"HTTP/1.1 408 ")
    assert connection.state == LINGER
    assert stage.loop.refused["slow_head"] == 1


def test_the_time_for_the_first_head_runs_from_the_begin(make: Callable[..., Stage]) -> None:
    stage = make(head_timeout=20)
    connection = stage.connect(b"")
    stage.tick(19)
    deliver(stage, connection, b"GET / HT")
    assert connection.state == HEAD

    stage.tick(2)

    assert stage.received().startswith(b"HTTP/1.1 408 ")


def test_a_body_without_progress_gets_408_and_never_reaches_the_program(make: Callable[..., Stage]) -> None:
    stage = make(body_timeout=30, body_min_rate=0)
    called: list[Exchange] = []
    stage.gateway.handle = called.append
    connection = stage.connect(POST)
    deliver(stage, connection)
    stage.tick(29)
    deliver(stage, connection, bytes(900))
    stage.tick(29)
    assert connection.state == BODY

    stage.tick(2)

    assert stage.received().startswith(b"HTTP/1.1 408 ")
    assert stage.loop.refused["slow_body"] == 1
    assert called == []


@pytest.mark.parametrize("rate", [10, 0])
def test_a_body_must_bring_a_least_rate(make: Callable[..., Stage], rate: int) -> None:
    stage = make(body_timeout=30, body_min_rate=rate)
    connection = stage.connect(POST)
    deliver(stage, connection)

    seconds = 0
    while connection.state == BODY and seconds < 200:
        deliver(stage, connection, b"x")
        stage.tick(1)
        seconds += 1

    if rate:
        # After n seconds n bytes: given up when n >= 30 + n / 10.
        assert 33 <= seconds <= 36
        assert stage.received().startswith(b"HTTP/1.1 408 ")
    else:
        assert seconds == 200


def slow_reader(stage: Stage) -> Connection:
    stage.gateway.handle = lambda _: bytes(1_000_000)
    connection = stage.connect()
    deliver(stage, connection)
    assert connection.state == WRITING
    return connection


def test_a_reader_without_progress_is_cut_off(make: Callable[..., Stage]) -> None:
    stage = make(write_timeout=30)
    connection = slow_reader(stage)
    stage.tick(29)
    stage.clients[0].recv(300_000)
    deliver(stage, connection)
    stage.tick(29)
    assert connection.state == WRITING

    stage.tick(2)

    assert connection.state == CLOSED
    assert stage.loop.refused["lost"] == 1


def test_a_client_that_never_closes_is_waited_for_no_longer_than_the_linger_timeout(
    make: Callable[..., Stage],
) -> None:
    stage = make(linger_timeout=2)
    connection = stage.connect(b"nonsense\r\n\r\n")
    deliver(stage, connection)
    assert connection.state == LINGER
    stage.tick(1)
    deliver(stage, connection, b"more")
    assert connection.state == LINGER

    stage.tick(1.1)

    assert connection.state == CLOSED


def test_a_handshake_that_stalls_is_ended(make: Callable[..., Stage]) -> None:
    stage = make(handshake_timeout=10)
    connection = stage.connect(b"")
    connection.state = HANDSHAKE
    stage.tick(9)
    assert connection.state == HANDSHAKE

    stage.tick(2)

    assert connection.state == CLOSED


def test_a_timeout_of_zero_is_none(make: Callable[..., Stage]) -> None:
    stage = make(head_timeout=0, body_timeout=0, write_timeout=0, handshake_timeout=0)
    fresh = stage.connect(b"")
    head = stage.connect(b"GET")
    body = stage.connect(POST)
    writing = slow_reader(stage)
    shaking = stage.connect(b"")
    shaking.state = HANDSHAKE
    stage.batch(head, body)
    stage.play()

    for _ in range(10):
        stage.tick(100_000)

    states = [each.state for each in (fresh, head, body, writing, shaking)]
    assert states == [IDLE, HEAD, BODY, WRITING, HANDSHAKE]


@pytest.mark.parametrize("kind", ["head", "body", "idle"])
def test_timeouts_work_for_real(kind: str) -> None:
    sent = {"head": b"GET / HT", "body": POST, "idle": GET}[kind]
    settings: dict[str, Any] = {f"{kind}_timeout": 0.1}
    with serving(**settings) as server, Client(server) as client:
        client.send(sent)
        line, _, _ = client.response()
        assert line[9:12] == (b"200" if kind == "idle" else b"408")
        assert client.closed()


# ---- handlers that take long ----------------------------------------------------------------------------


def test_a_handler_that_takes_long_is_reported_once_with_its_stack() -> None:
    free = threading.Event()

    def a_function_that_is_stuck() -> None:
        free.wait(WAIT)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        a_function_that_is_stuck()
        start_response("200 OK", [])
        return [b"late"]

    log = Log()
    with serving(application, log=log, handler_timeout=0.05, threads=2) as server, Client(server) as client:
        client.send(GET.replace(b"/ ", b"/slow?secret=1 "))
        until(lambda: bool(log.messages))
        with Client(server) as other:
            other.send(GET.replace(b"/ ", b"/second "))
            until(lambda: len(log.messages) == 2)
        free.set()
        assert client.response()[2] == b"late"

    first, second = log.messages
    assert first.startswith("The handler of GET /slow has run for 0.")
    assert "kirsch worker" in first
    assert "a_function_that_is_stuck" in first
    assert "secret" not in first
    assert second.startswith("The handler of GET /second ")


def test_a_request_that_waits_for_a_thread_is_reported_too(make: Callable[..., Stage]) -> None:
    stage = make(handler_timeout=5)
    stage.gateway.kind.short = False
    connection = stage.connect()
    deliver(stage, connection)

    for _ in range(10):
        stage.tick(1)

    assert stage.log.messages == ["The handler of GET / has waited or run for 5.0 s."]
    stage.work()
    stage.play()
    deliver(stage, connection, GET)
    for _ in range(10):
        stage.tick(1)
    assert len(stage.log.messages) == 2, "the next request is another"


def test_without_a_handler_timeout_nothing_is_reported(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.gateway.kind.short = False
    deliver(stage, stage.connect())

    for _ in range(10):
        stage.tick(1000)

    assert stage.log.messages == []


# ---- how long the leader may sleep ------------------------------------------------------------------------


def test_with_nothing_to_look_after_the_leader_sleeps_without_end(make: Callable[..., Stage]) -> None:
    stage = make()

    stage.play()

    assert stage.poller.waits == [None]


def test_with_connections_the_leader_looks_every_half_second(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.connect(b"")

    stage.tick()
    stage.play()

    assert stage.poller.waits[-1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("settings", "wait"), [({"head_timeout": 0.2}, 0.05), ({"idle_timeout": 0.001}, 0.01)]
)
def test_short_timeouts_are_looked_after_more_often(
    make: Callable[..., Stage], settings: dict[str, float], wait: float
) -> None:
    stage = make(**settings)
    stage.connect(b"")

    stage.tick()

    assert stage.poller.waits[-1] == pytest.approx(wait)


@pytest.mark.parametrize("request_", [GET, (POST + bytes(1000)) * 2])
def test_the_leader_stops_waking_when_the_last_head_is_forgotten(
    make: Callable[..., Stage], request_: bytes
) -> None:
    stage = make()
    connection = stage.connect(request_)
    deliver(stage, connection)
    connection.close()
    stage.play()
    assert stage.poller.waits[-1] is not None

    seconds = 0
    waits = stage.poller.waits
    while waits[-1:] != [None]:
        seconds += 1
        assert seconds < 100
        stage.tick(1)

    assert 10 <= seconds <= 31
    assert not stage.loop.heads.remembers


def test_a_server_left_alone_sleeps_for_real() -> None:
    with serving() as server:
        trust(server)
        loop = server.loop
        assert loop is not None
        until(lambda: not loop.connections)
        # As two times ten seconds would.
        loop.call(loop.heads.turn)
        loop.call(loop.heads.turn)
        until(lambda: loop._sleeping and not loop._inbox and not loop.heads.remembers)

        assert loop.reaper.patience() is None


def test_while_descriptors_are_short_the_leader_goes_on_looking(make: Callable[..., Stage]) -> None:
    [listener] = open_listeners(("127.0.0.1:0",), backlog=1, unix_mode=0o600)
    stage = make(listeners=[listener])
    stage.loop.acceptor.start()
    stage.play()
    assert stage.poller.waits == [None]
    stage.loop.acceptor.pause()
    assert listener.sock.fileno() not in stage.poller.watched

    stage.play()
    assert stage.poller.waits[-1] is not None
    stage.tick(1)

    assert listener.sock.fileno() in stage.poller.watched
    stage.loop.acceptor.close()


# ---- the last phase ---------------------------------------------------------------------------------------


def drain(stage: Stage) -> None:
    stage.loop.drain()
    stage.tick()


def test_a_drain_with_nothing_open_ends_at_once(make: Callable[..., Stage]) -> None:
    stage = make()

    drain(stage)

    assert stage.loop.drained.is_set()
    assert stage.loop.reaper.cut == []


def test_a_drain_begins_once(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=10)
    stage.connect(b"")
    drain(stage)
    stage.tick(0.05)
    begin = stage.loop.reaper._drain_begin

    drain(stage)

    assert stage.loop.reaper._drain_begin == begin


def test_an_idle_connection_is_closed_when_it_has_been_quiet(make: Callable[..., Stage]) -> None:
    stage = make()
    connection = stage.connect()
    deliver(stage, connection)
    stage.tick(0.09)
    stage.received()

    drain(stage)
    assert connection.state == IDLE
    stage.tick(0.02)

    assert connection.state == LINGER
    assert stage.received() == b""


def test_a_request_that_came_before_the_close_is_answered_as_the_last(make: Callable[..., Stage]) -> None:
    stage = make()
    connection = stage.connect()
    deliver(stage, connection)
    stage.received()
    drain(stage)
    # Not reported by the poller: it arrives in the very moment of the close.
    stage.clients[0].sendall(GET)

    stage.tick(0.2)

    assert b"Connection: close" in stage.received()
    assert connection.state == LINGER


def test_pipelined_requests_that_had_no_turn_yet_are_not_dropped_unread(make: Callable[..., Stage]) -> None:
    stage = make()
    connection = stage.connect(GET * 80)
    stage.batch(connection)
    stage.batch(stage.connect(GET.replace(b"/ ", b"/other ")))

    def handle(exchange: Exchange) -> bytes:
        stage.clock += 100_000_000
        if exchange.head.path == "/other":
            # It comes when two turns are over, and the stop begins behind a third.
            stage.loop.drain()
        return b"ok"

    stage.gateway.handle = handle
    stage.play()

    answers = stage.received(0).split(b"HTTP/1.1 ")[1:]
    assert [b"Connection: close" in each for each in answers] == [False] * 48 + [True]


def test_a_running_request_is_waited_for_and_told_it_is_the_last(
    make: Callable[..., Stage],
) -> None:
    stage = make(shutdown_timeout=30)
    stage.gateway.kind.short = False
    connection = stage.connect()
    deliver(stage, connection)
    drain(stage)
    for _ in range(20):
        stage.tick(1)
    assert not stage.loop.drained.is_set()

    stage.work()
    stage.play()

    assert b"Connection: close" in stage.received()
    assert connection.state == LINGER
    stage.tick(1)
    assert stage.loop.drained.is_set()


def test_a_client_whose_answer_did_not_say_close_may_send_another_request(make: Callable[..., Stage]) -> None:
    stage = make()
    stage.gateway.kind.short = False
    connection = stage.connect()
    deliver(stage, connection)
    _, exchange = stage.pooled.pop()
    wire = prepare(connection, exchange)
    assert wire is not None
    drain(stage)
    assert connection.closing == ASKED

    connection.transmit(wire)
    connection.finish(exchange)
    connection.release()
    stage.play()
    assert b"Connection" not in stage.received()
    deliver(stage, connection, GET)
    stage.work()
    stage.play()

    assert b"Connection: close" in stage.received()
    assert connection.state == LINGER


@pytest.mark.parametrize("sent", [b"GET / HT", POST + b"x"])
def test_a_half_sent_request_gets_503_after_its_grace(make: Callable[..., Stage], sent: bytes) -> None:
    stage = make(shutdown_head_timeout=5, shutdown_timeout=30)
    connection = stage.connect(sent)
    deliver(stage, connection)
    drain(stage)
    stage.tick(4.9)
    assert connection.state in {HEAD, BODY}

    stage.tick(0.2)

    assert stage.received().startswith(b"HTTP/1.1 503 ")
    assert stage.loop.refused["shutdown"] == 1
    stage.tick(1)
    assert stage.loop.drained.is_set()


def test_a_half_sent_request_that_arrives_in_its_grace_is_answered(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_head_timeout=5)
    connection = stage.connect(GET[:9])
    deliver(stage, connection)
    drain(stage)
    stage.tick(4)

    deliver(stage, connection, GET[9:])

    got = stage.received()
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in got


def test_a_handshake_has_the_same_grace(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_head_timeout=5)
    connection = stage.connect(b"")
    connection.state = HANDSHAKE
    drain(stage)
    stage.tick(4)
    assert connection.state == HANDSHAKE

    stage.tick(2)

    assert connection.state == CLOSED


def test_a_slow_reader_gets_the_rest_of_its_answer(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=30)
    connection = slow_reader(stage)
    drain(stage)
    stage.tick(5)
    data = b""
    while connection.state == WRITING:
        data += stage.received()
        deliver(stage, connection)

    assert (data + stage.received()).count(b"\0") == 1_000_000


def test_lingering_is_short_while_the_server_drains(make: Callable[..., Stage]) -> None:
    stage = make(linger_timeout=60)
    connection = stage.connect(b"nonsense\r\n\r\n")
    deliver(stage, connection)
    drain(stage)
    stage.tick(0.4)
    assert connection.state == LINGER

    stage.tick(0.2)

    assert connection.state == CLOSED


def test_what_runs_too_long_is_named_and_cut(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=10)
    stage.gateway.kind.short = False
    connection = stage.connect(GET.replace(b"/ ", b"/long "))
    deliver(stage, connection)
    drain(stage)
    stage.tick(9)
    assert not stage.loop.drained.is_set()

    stage.tick(2)

    assert stage.loop.reaper.cut == ["The handler of GET /long has waited or run for 11.0 s."]
    assert stage.loop.drained.is_set()
    assert connection.state == CLOSED
    assert stage.clients[0].recv(1) == b""
    _, exchange = stage.pooled.pop()
    connection.answer(exchange)
    connection.release()
    assert stage.log.messages == [], "its thread ends without noise"


def test_a_handshake_that_runs_too_long_is_cut_without_a_request_to_name(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=1)
    connection = stage.connect(b"")
    connection.state = HANDSHAKE
    connection.busy = True
    drain(stage)

    stage.tick(2)

    assert stage.loop.reaper.cut == ["The handler of a request has waited or run for 2.0 s."]


def test_without_a_shutdown_timeout_nothing_is_waited_for(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=0)
    stage.gateway.kind.short = False
    busy = stage.connect()
    deliver(stage, busy)
    half = stage.connect(b"GET")
    deliver(stage, half)

    drain(stage)

    assert stage.loop.drained.is_set()
    assert len(stage.loop.reaper.cut) == 1
    assert (busy.state, half.state) == (CLOSED, CLOSED)


def test_a_lead_lost_while_sweeping_ends_the_sweep(make: Callable[..., Stage]) -> None:
    stage = make()
    connection = stage.connect()
    deliver(stage, connection)
    stage.received()

    def handle(exchange: Exchange) -> bytes:
        assert stage.loop.take_lead(exchange)
        return b"ok"

    stage.gateway.handle = handle
    drain(stage)
    stage.clients[0].sendall(GET)
    waits = len(stage.poller.waits)

    stage.tick(0.2)

    assert stage.appointed == ["deputy"]
    assert len(stage.poller.waits) == waits + 1, "whoever has the lead now waits, not this thread"
    assert stage.received().count(b"HTTP/1.1 200 ") == 1


def test_a_socket_that_is_gone_already_can_be_cut(make: Callable[..., Stage]) -> None:
    stage = make(shutdown_timeout=1)
    stage.gateway.kind.short = False
    connection = stage.connect()
    deliver(stage, connection)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.sock.close()
    drain(stage)

    stage.tick(2)

    assert stage.loop.drained.is_set()
