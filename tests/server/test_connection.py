"""A connection: who owns it when, in which order it answers, how it ends."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme

from kirsch.server import ClientGone, leader
from kirsch.server.phases import BODY, CLOSED, HANDLER, HEAD, IDLE, LINGER, WRITING
from kirsch.server.poller import READ, SelectorPoller
from tests.server.harness import GET, WAIT, Client, Log, hello, serving, trust
from tests.server.stage import Stage, Steady, held, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from kirsch.http.exchange import Exchange
    from kirsch.server.connection import Connection

POST = b"POST /p HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n"
CHUNKED = POST.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked")
HUNG_UP = READ | 0x2000
"""What epoll says when the client has shut its sending side (EPOLLRDHUP)."""


def get(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number


def echo(exchange: Exchange) -> bytes:
    return b"<%b>" % exchange.head.target.encode()


def answers(data: bytes) -> list[bytes]:
    """Return the bodies that `echo` made, in the order they came."""
    return [piece.partition(b">")[0] for piece in data.split(b"<")[1:]]


def paths(*numbers: int) -> list[bytes]:
    return [b"/%d" % number for number in numbers]


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    stage.gateway.handle = echo
    yield stage
    stage.close()


@pytest.fixture
def inline(stage: Stage) -> Stage:
    """A stage whose requests all run on the leader."""
    stage.gateway.kind = Steady()
    return stage


# ---- order and turns ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 16, 17, 40, 100])
def test_pipelined_requests_are_answered_in_their_order(inline: Stage, number: int) -> None:
    connection = inline.connect(b"".join(map(get, range(number))))
    inline.batch(connection)

    inline.play()

    assert answers(inline.received()) == paths(*range(number))
    assert (connection.state, connection.buffer) == (IDLE, b"")


@pytest.mark.parametrize("number", [2, 40])
def test_pipelined_requests_are_answered_in_their_order_by_the_pool(stage: Stage, number: int) -> None:
    stage.batch(stage.connect(b"".join(map(get, range(number)))))
    stage.play()

    for _ in range(number):
        assert len(stage.pooled) == 1, "one request of a connection at a time"
        stage.work()
        stage.play()

    assert answers(stage.received()) == paths(*range(number))


def test_after_sixteen_pipelined_requests_other_connections_have_their_turn(inline: Stage) -> None:
    order: list[str] = []

    def handle(exchange: Exchange) -> bytes:
        order.append(exchange.head.path)
        return b"ok"

    inline.gateway.handle = handle
    greedy = inline.connect(b"".join(map(get, range(40))))
    other = inline.connect(b"GET /other HTTP/1.1\r\nHost: test\r\n\r\n")
    inline.batch(greedy, other)

    inline.play()

    assert order.index("/other") == 16
    assert len(order) == 41


def test_new_data_waits_for_the_requests_that_have_not_had_their_turn(inline: Stage) -> None:
    connection = inline.connect(b"".join(map(get, range(40))))
    client = inline.clients[0]
    inline.batch(connection)

    def send_more(_: Exchange) -> bytes:
        inline.gateway.handle = echo
        client.sendall(b"".join(map(get, range(40, 44))))
        inline.batch(connection)
        return b"<first>"

    inline.gateway.handle = send_more

    inline.play()

    assert answers(inline.received()) == [b"first", *paths(*range(1, 44))]


def test_what_is_read_ahead_of_a_pipelining_client_stays_bounded(inline: Stage) -> None:
    connection = inline.connect(b"")
    genuine = connection.sock
    reads: list[int] = []

    class Endless:
        """A client that never stops to send requests, and takes every answer."""

        def recv(self, size: int) -> bytes:
            if len(reads) == 50:
                raise BlockingIOError
            begin = len(reads) * size % len(GET)
            reads.append(size)
            return (GET * 2500)[begin : begin + size]

        def send(self, data: bytes) -> int:
            return len(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(genuine, name)

    connection.sock = cast("socket.socket", Endless())
    longest: list[int] = []

    def handle(_: Exchange) -> bytes:
        longest.append(len(connection.buffer))
        return b"ok"

    inline.gateway.handle = handle
    inline.batch(connection)

    inline.play()

    assert max(longest) < 2 * 65536
    assert len(reads) == 50
    assert len(longest) == 50 * 65536 // len(GET)
    assert connection.state == HEAD, "the last head is cut"


def test_what_lies_behind_a_body_is_served_too(inline: Stage) -> None:
    connection = inline.connect(POST)
    inline.batch(connection)
    inline.play()
    inline.clients[0].sendall(b"abc" + get(1) + get(2))
    inline.batch(connection)

    inline.play()

    assert answers(inline.received()) == [b"/p", b"/1", b"/2"]


@pytest.mark.parametrize("size", [65536 - len(POST) + 2, 65536, 100_000, 150_000])
def test_a_burst_larger_than_one_read_is_read_to_its_end(stage: Stage, size: int) -> None:
    head = POST.replace(b"3", b"%d" % size)
    stage.batch(stage.connect(head + bytes(size)))

    stage.play()

    [(_, exchange)] = stage.pooled
    assert exchange.length == size


def test_a_fast_upload_gives_others_their_turn(inline: Stage) -> None:
    size = 40 * 65536
    connection = inline.connect(POST.replace(b"3", b"%d" % size))
    genuine = connection.sock
    reads: list[int] = []

    class Fast:
        """A client that sends as fast as it is read."""

        def recv(self, most: int) -> bytes:
            if len(reads) > size // 65536:
                raise BlockingIOError
            reads.append(most)
            return bytes(most) if len(reads) > 1 else genuine.recv(most).ljust(most, b"\0")

        def __getattr__(self, name: str) -> Any:
            return getattr(genuine, name)

    connection.sock = cast("socket.socket", Fast())
    turns: list[int] = []
    other = inline.connect()
    inline.gateway.handle = lambda _: turns.append(len(reads))
    inline.batch(connection, other)

    inline.play()

    assert turns[0] == 16, "the other connection, after so many reads"
    assert len(turns) == 2, "the upload itself"


def test_a_thousand_pipelined_requests_do_not_hold_up_another_connection() -> None:
    with serving() as server, Client(server) as greedy, Client(server) as probe:
        trust(server)
        done = threading.Thread(target=greedy.send, args=(GET * 1000,))
        done.start()

        assert probe.get()[2] == b"hello"

        assert [greedy.response()[2] for _ in range(1000)] == [b"hello"] * 1000
        done.join()


@pytest.mark.parametrize("poller", [None, SelectorPoller])
def test_pipelined_requests_of_every_kind_keep_their_order(
    poller: type | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if poller is not None:
        monkeypatch.setattr(leader, "make_poller", poller)
    numbers = count()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read() + b"%d" % next(numbers)]

    pieces = [
        get(1),
        POST + b"abc",
        get(22),
        b"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    requests = b"".join([*pieces, b"2\r\nde\r\n0\r\n\r\n", get(3)] * 30)
    with serving(application) as server, Client(server) as client:
        # At odd places, so that requests are cut wherever they can be.
        for start in range(0, len(requests), 97):
            client.send(requests[start : start + 97])
        bodies = [client.response()[2] for _ in range(150)]

    expected = [kind + b"%d" % number for number, kind in enumerate([b"", b"abc", b"", b"de", b""] * 30)]
    assert bodies == expected


# ---- owners ---------------------------------------------------------------------------------------------


def test_what_is_missed_while_buffered_requests_are_served_is_not_forgotten(stage: Stage) -> None:
    connection = stage.connect(get(1) + get(2))
    stage.batch(connection)
    stage.play()
    stage.clients[0].sendall(get(3))
    stage.batch(connection)
    stage.play()

    for _ in range(3):
        stage.work()
        stage.play()

    assert answers(stage.received()) == paths(1, 2, 3)


def fill(stage: Stage, connection: Connection) -> None:
    """Have the pool send `connection` more than its socket takes."""
    stage.gateway.handle = lambda _: bytes(2_000_000)
    stage.batch(connection)
    stage.play()
    stage.work()
    stage.play()
    stage.gateway.handle = echo
    assert connection.state == WRITING


def empty(stage: Stage, connection: Connection) -> bytes:
    """Read until the slow answer is out, and return it."""
    data = b""
    while connection.state == WRITING:
        data += stage.received()
        stage.batch(connection)
        stage.play()
    return data + stage.received()


def test_a_put_off_turn_does_not_take_the_connection_from_the_pool(stage: Stage) -> None:
    connection = stage.connect()
    fill(stage, connection)
    stage.clients[0].sendall(get(1))

    empty(stage, connection)

    assert (connection.busy, connection.state) == (True, HANDLER)
    assert len(stage.pooled) == 1


def test_requests_that_come_before_a_slow_answer_is_read_are_served_after_it(inline: Stage) -> None:
    connection = inline.connect()
    inline.gateway.handle = lambda _: bytes(2_000_000)
    inline.batch(connection)
    inline.play()
    inline.gateway.handle = echo
    inline.clients[0].sendall(get(1) + get(2))
    inline.batch(connection)
    inline.play()
    assert connection.state == WRITING

    data = empty(inline, connection)

    assert data.count(b"\x00") == 2_000_000
    assert answers(data) == paths(1, 2)


def test_a_turn_of_a_closed_connection_does_nothing(inline: Stage) -> None:
    connection = inline.connect(b"".join(map(get, range(40))))
    inline.loop.call(connection.close)
    inline.batch(connection)
    inline.play()

    connection.close()
    assert not connection.go_on()

    assert connection.state == CLOSED


def test_bytes_for_a_slow_reader_are_written_while_its_handler_still_runs(stage: Stage) -> None:
    connection = stage.connect()
    stage.batch(connection)
    stage.play()
    owner, _ = stage.pooled.pop()
    owner.transmit(bytes(2_000_000))
    assert owner.out is not None
    before = owner.out.size
    stage.received()

    stage.batch(connection)
    stage.play()

    assert owner.out.size < before
    assert connection.busy
    assert connection.missed


def test_a_connection_that_is_free_again_is_no_business_of_overhear(stage: Stage) -> None:
    connection = stage.connect(b"")

    assert not connection.overhear(READ)

    assert connection.missed == 0


def take_the_lead(stage: Stage, path: str) -> None:
    """Have the deputy take the lead in the handler of `path`."""

    def handle(exchange: Exchange) -> bytes:
        if exchange.head.path == path:
            assert stage.loop.take_lead(exchange)
        return echo(exchange)

    stage.gateway.handle = handle


def test_a_lead_that_is_lost_behind_a_body_is_given_up(inline: Stage) -> None:
    connection = inline.connect(POST)
    inline.batch(connection)
    inline.play()
    inline.clients[0].sendall(b"abc" + get(1))
    take_the_lead(inline, "/p")
    inline.batch(connection)

    inline.play()
    assert answers(inline.received()) == [b"/p"], "this thread leads no more"
    inline.gateway.kind = Steady()
    inline.play()
    assert answers(inline.received()) == paths(1)


def test_a_lead_that_is_lost_in_a_later_turn_is_given_up(inline: Stage) -> None:
    take_the_lead(inline, "/20")
    inline.batch(inline.connect(b"".join(map(get, range(40)))))

    inline.play()
    assert answers(inline.received()) == paths(*range(21))
    inline.gateway.kind = Steady()
    inline.play()
    assert answers(inline.received()) == paths(*range(21, 40))


def test_a_socket_that_takes_nothing_keeps_all_of_an_answer(stage: Stage) -> None:
    connection = stage.connect()
    filler = bytes(1000)
    with contextlib.suppress(BlockingIOError):
        while True:
            connection.sock.send(filler)

    connection.transmit(b"the answer")

    assert connection.out is not None
    assert connection.out.size == 10
    before = len(stage.received())
    assert before % 1000 == 0
    stage.batch(connection, event=4)
    stage.play()
    assert stage.received() == b"the answer"


def test_a_producer_for_a_client_that_is_gone_is_told(stage: Stage) -> None:
    connection = stage.connect()
    fill(stage, connection)
    assert connection.out is not None
    connection.out.fail()

    with pytest.raises(ClientGone):
        connection.transmit(b"more", wait=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """A file with a certificate and its key, and a client that trusts it."""
    authority = trustme.CA()
    path = str(tmp_path_factory.mktemp("tls") / "both.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return path, context


@pytest.mark.parametrize("trusted", [False, True])
def test_no_record_of_tls_is_left_lying(certificate: tuple[str, ssl.SSLContext], trusted: bool) -> None:
    path, context = certificate

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(-1) + b"."]

    with (
        serving(application, tls_certificate=path, inline=trusted) as server,
        Client(server) as client,
        context.wrap_socket(client.sock, server_hostname="localhost") as client.sock,
    ):
        loop = server.loop
        assert loop is not None
        for _ in range(20):
            client.get()
            client.send(POST)
            client.send(b"abc")
            client.response()
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go.wait(WAIT)

        loop.call(hold)
        assert held.wait(WAIT)
        # Each a record of its own, and all there before the first is read: one edge tells of them all.
        for record in (GET, GET, POST, b"abc", POST, b"a", b"bc", GET[:9], GET[9:]):
            client.send(record)
        go.set()

        assert [client.response()[2] for _ in range(5)] == [b".", b".", b"abc.", b"abc.", b"."]


def test_a_reset_wakes_the_thread_that_waits_for_room() -> None:
    ended = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield bytes(100_000)
        finally:
            ended.set()

    with serving(application, response_buffer=200_000, threads=1) as server:
        with Client(server, SO_RCVBUF=4096) as client:
            client.send(GET)
            client.sock.recv(100)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ended.wait(WAIT)
        until(lambda: server.loop is not None and not server.loop.connections)


def test_response_buffer_makes_a_producer_wait_and_write_timeout_ends_it() -> None:
    produced: list[int] = []
    ended = threading.Event()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _ in range(1000):
                produced.append(1)
                yield bytes(100_000)
        finally:
            ended.set()

    with (
        serving(application, response_buffer=300_000, write_timeout=0.2, threads=1) as server,
        Client(server, SO_RCVBUF=4096) as client,
    ):
        client.send(GET)

        assert ended.wait(WAIT)

        assert 3 <= len(produced) < 200
        with contextlib.suppress(ConnectionResetError):
            assert len(client.rest()) < 20_000_000
        with Client(server) as probe:
            probe.send(GET)
            assert probe.sock.recv(15) == b"HTTP/1.1 200 OK", "the only thread is free again"


@pytest.mark.parametrize("poller", [None, SelectorPoller])
def test_a_slow_reader_holds_no_thread(poller: type | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if poller is not None:
        monkeypatch.setattr(leader, "make_poller", poller)
    body = os.urandom(3_000_000)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [body if environ["PATH_INFO"] == "/big" else b"hello"]

    with serving(application, threads=1) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Client(server, SO_RCVBUF=4096)) for _ in range(5)]
        for client in slow:
            client.send(GET.replace(b"/ ", b"/big ", 1))
        for client in slow:
            assert client.sock.recv(1) == b"H"
        with Client(server) as probe:
            assert probe.get()[2] == b"hello"
        data = b"H" + slow[0].sock.recv(1 << 20)
        while len(data) < len(body):
            data += slow[0].sock.recv(1 << 20)
        while not data.endswith(body[-100:]):
            data += slow[0].sock.recv(1 << 20)
        assert data.partition(b"\r\n\r\n")[2] == body


def test_a_producer_without_edges_is_told_when_its_client_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "make_poller", SelectorPoller)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        return (bytes(100_000) for _ in range(50))

    with serving(application, response_buffer=200_000) as server, Client(server, SO_RCVBUF=4096) as client:
        assert len(client.get()[2]) == 5_000_000
        assert len(client.get()[2]) == 5_000_000


# ---- ends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 16, 17, 40])
def test_a_client_that_has_shut_its_side_still_gets_every_answer(inline: Stage, number: int) -> None:
    connection = inline.connect(b"".join(map(get, range(number))))
    inline.clients[0].shutdown(socket.SHUT_WR)
    inline.batch(connection, event=HUNG_UP)

    inline.play()

    assert answers(inline.received()) == paths(*range(number))
    assert connection.state == CLOSED


def test_a_client_that_has_shut_its_side_gets_the_answer_of_the_pool(stage: Stage) -> None:
    connection = stage.connect(get(1))
    stage.clients[0].shutdown(socket.SHUT_WR)
    stage.batch(connection, event=HUNG_UP)
    stage.play()

    stage.work()
    stage.play()

    assert answers(stage.received()) == paths(1)
    assert connection.state == CLOSED


def test_a_client_that_has_shut_its_side_gets_all_of_a_large_answer(stage: Stage) -> None:
    connection = stage.connect()
    fill(stage, connection)
    stage.clients[0].shutdown(socket.SHUT_WR)
    stage.batch(connection, event=HUNG_UP)
    stage.play()

    data = empty(stage, connection)

    assert data.count(b"\x00") == 2_000_000
    assert connection.state == CLOSED


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(GET[:20], id="in the head"),
        pytest.param(POST + b"ab", id="in the body"),
        pytest.param(CHUNKED + b"2\r\nab\r\n", id="chunked"),
    ],
)
def test_a_request_that_ends_too_early_gets_400_and_never_reaches_the_program(
    inline: Stage, sent: bytes
) -> None:
    called: list[Exchange] = []
    inline.gateway.handle = called.append
    connection = inline.connect(sent)
    inline.batch(connection)
    inline.play()
    assert connection.state in {HEAD, BODY}
    inline.clients[0].shutdown(socket.SHUT_WR)
    inline.batch(connection, event=HUNG_UP)

    inline.play()

    assert inline.received().startswith(b"HTTP/1.1 400 ")
    assert connection.state == CLOSED
    assert called == []
    assert inline.loop.refused["incomplete"] == 1


@pytest.mark.parametrize("sent", [b"", GET, GET + b"\r\n", POST + b"abc\r\n"])
def test_a_client_that_goes_between_requests_gets_nothing_more(inline: Stage, sent: bytes) -> None:
    connection = inline.connect(sent)
    inline.batch(connection)
    inline.play()
    inline.received()
    inline.clients[0].shutdown(socket.SHUT_WR)
    inline.batch(connection, event=HUNG_UP)

    inline.play()

    assert inline.received() == b""
    assert connection.state == CLOSED
    assert not inline.loop.refused


def test_a_client_reads_its_413_while_it_is_still_sending() -> None:
    seen: list[bytes] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(b"called")
        return hello(environ, start_response)

    with serving(application, max_body=1000) as server, Client(server) as client:
        client.send(POST.replace(b"3", b"52428800"))
        piece = bytes(1 << 20)
        for _ in range(50):
            client.send(piece)

        assert client.response()[0] == b"HTTP/1.1 413 Content Too Large"
        assert client.closed()
        assert seen == []


def test_a_refused_chunked_upload_is_dropped_to_its_end() -> None:
    with serving(max_body=100_000) as server, Client(server) as client:
        client.send(CHUNKED)
        piece = b"10000\r\n%b\r\n" % bytes(65536)
        for _ in range(100):
            client.send(piece)

        assert client.response()[0].startswith(b"HTTP/1.1 413 ")


def test_what_still_comes_after_the_last_answer_is_dropped_in_turns(inline: Stage) -> None:
    connection = inline.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    inline.batch(connection)
    inline.play()
    assert connection.state == LINGER
    genuine = connection.sock
    reads: list[int] = []

    class Chatty:
        """A client that sends on and on, and then goes."""

        def recv(self, size: int) -> bytes:
            reads.append(size)
            return bytes(size) if len(reads) < 40 else b""

        def __getattr__(self, name: str) -> Any:
            return getattr(genuine, name)

    connection.sock = cast("socket.socket", Chatty())
    turns: list[int] = []
    inline.gateway.handle = lambda _: turns.append(len(reads))
    inline.batch(connection, inline.connect())

    inline.play()

    assert turns == [16]
    assert connection.state == CLOSED
    assert len(reads) == 40


def test_a_connection_of_a_server_that_does_not_linger_is_closed_at_once() -> None:
    stage = Stage(linger_timeout=0)
    stage.gateway.kind.short = True
    connection = stage.connect(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    stage.batch(connection)

    stage.play()

    assert connection.state == CLOSED
    assert stage.received().endswith(b"ok")
    stage.close()


def test_two_hundred_clients_that_go_in_the_middle_of_an_answer_leave_nothing_behind() -> None:
    closed = count(1)
    last: list[int] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return (bytes(20_000) for _ in range(50))

        def close(self) -> None:
            last.append(next(closed))

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return Body()

    log = Log()
    with serving(application, log=log, response_buffer=50_000, write_timeout=5) as server:
        loop = server.loop
        assert loop is not None
        with Client(server) as first:
            first.get()
        until(lambda: not loop.connections)
        before = held()
        for number in range(200):
            with Client(server) as client:
                client.send(GET)
                client.sock.recv(1000)
                if number % 2:
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: not loop.connections)

        assert held() == before
        assert last[-1] == 201
        assert log.messages == []


def test_a_lost_connection_is_counted(stage: Stage) -> None:
    connection = stage.connect(b"")
    connection.lost(ConnectionResetError())

    assert connection.state == CLOSED
    assert stage.loop.refused["lost"] == 1


@pytest.mark.parametrize("sent", [b"", b"GET"])
def test_a_socket_that_breaks_while_it_is_read_costs_the_connection_alone(inline: Stage, sent: bytes) -> None:
    connection = inline.connect(sent)
    if sent:
        inline.batch(connection)
        inline.play()

    class Broken:
        """A socket whose client has gone."""

        def recv(self, size: int) -> bytes:
            raise ConnectionResetError

        def __getattr__(self, name: str) -> Any:
            return getattr(genuine, name)

    genuine = connection.sock
    connection.sock = cast("socket.socket", Broken())
    inline.batch(connection)

    inline.play()

    assert connection.state == CLOSED
    assert inline.loop.refused["lost"] == 1
    assert inline.log.messages == []


def test_an_event_that_says_too_much_is_no_error(inline: Stage) -> None:
    connection = inline.connect(b"")
    inline.batch(connection)
    inline.batch(connection, event=4)

    inline.play()

    assert connection.state == IDLE


# ---- limits ---------------------------------------------------------------------------------------------


def test_a_connection_serves_as_many_requests_as_the_setting_says() -> None:
    with serving(max_requests_per_connection=3) as server, Client(server) as client:
        client.send(GET * 5)
        answers = [client.response() for _ in range(3)]

        assert [b"connection" in fields for _, fields, _ in answers] == [False, False, True]
        assert answers[2][1][b"connection"] == b"close"
        assert client.closed()


def test_without_an_idle_timeout_every_answer_closes() -> None:
    with serving(idle_timeout=0) as server, Client(server) as client:
        assert client.get()[1][b"connection"] == b"close"
        assert client.closed()


def test_a_head_that_comes_byte_by_byte_is_not_searched_again_and_again(inline: Stage) -> None:
    field = b"X-Long: " + b"a" * 15_000 + b"\r\n"
    head = GET[:-2] + field + b"\r\n"
    connection = inline.connect(b"")
    searched: list[int] = []

    class Counting(bytes):
        def find(self, *arguments: Any) -> int:
            searched.append(len(self) - (arguments[1] if len(arguments) > 1 else 0))
            return super().find(*arguments)

    for byte in head[:-1]:
        connection.buffer = Counting(connection.buffer)
        connection._take(bytes((byte,)))
    assert connection.state == HEAD
    connection._take(head[-1:])

    assert connection.requests == 1
    assert sum(searched) < 5 * len(head)


@pytest.mark.parametrize(
    ("fields", "connection"),
    [
        ((), b"close"),
        ((b"Connection: keep-alive",), b"keep-alive"),
        ((b"Connection: Keep-Alive, x",), b"keep-alive"),
        ((b"Connection: keep-alive, close",), b"close"),
    ],
)
def test_a_client_of_http_1_0_is_kept_when_it_asks(fields: tuple[bytes, ...], connection: bytes) -> None:
    request = b"\r\n".join((b"GET / HTTP/1.0", *fields, b"", b""))
    with serving() as server, Client(server) as client:
        client.send(request)
        line, answered, body = client.response()
        assert (line, body) == (b"HTTP/1.1 200 OK", b"hello")
        assert answered[b"connection"] == connection
        if connection == b"close":
            assert client.closed()
        else:
            client.send(request)
            assert client.response()[2] == b"hello"


def test_an_answer_of_unknown_length_to_http_1_0_ends_with_the_connection() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        return iter([b"one ", b"two"])

    with serving(application) as server, Client(server) as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        line, fields, body = client.response()

    assert (line, body) == (b"HTTP/1.1 200 OK", b"one two")
    assert fields[b"connection"] == b"close"
    assert b"transfer-encoding" not in fields


def test_100_continue_is_sent_when_the_body_is_waited_for(inline: Stage) -> None:
    head = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    connection = inline.connect(head)
    inline.batch(connection)
    inline.play()
    assert inline.received() == b"HTTP/1.1 100 Continue\r\n\r\n"
    inline.clients[0].sendall(b"abc")
    inline.batch(connection)
    inline.play()
    assert answers(inline.received()) == [b"/p"]

    inline.clients[0].sendall(head + b"abc")
    inline.batch(connection)
    inline.play()
    assert inline.received().startswith(b"HTTP/1.1 200 ")


# ---- what gateways see ----------------------------------------------------------------------------------


def test_a_connection_knows_both_its_ends(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        assert server.loop is not None
        seen.extend((each.local, each.peer, each.tls_environ()) for each in server.loop.connections.values())
        start_response("200 OK", [])
        return [b""]

    path = str(tmp_path / "s")
    with serving(application, bind=("127.0.0.1:0", f"unix:{path}")) as server:
        with Client(server) as client:
            client.get()
            name = client.sock.getsockname()
        until(lambda: server.loop is not None and not server.loop.connections)
        with socket.socket(socket.AF_UNIX) as local:
            local.settimeout(WAIT)
            local.connect(path)
            local.sendall(GET)
            assert local.recv(15) == b"HTTP/1.1 200 OK"
        address = server.addresses[0]

    assert seen == [(address, name, {}), ((path, 0), ("", 0), {})]


def test_an_abstract_unix_socket_has_a_name_too() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(b"\0kirsch-test-%d" % os.getpid())
        stage = Stage()
        connection = stage.connect(b"")
        with connection.sock:
            connection.sock = listener
            assert connection.local == (f"\0kirsch-test-{os.getpid()}", 0)
        connection.state = CLOSED
        stage.close()


def test_a_closed_connection_has_no_name(stage: Stage) -> None:
    connection = stage.connect(b"")
    connection.close()

    assert connection.local == ("", 0)


def test_feeding_a_body_nobody_waits_for_is_called_a_defect(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match="defect of the server"):
        stage.connect(b"")._feed_body(b"x")


def test_nothing_is_raised_for_an_answer_to_a_client_that_is_gone(stage: Stage) -> None:
    connection = stage.connect()
    fill(stage, connection)
    assert connection.out is not None
    connection.out.fail()

    connection.transmit(b"more")

    assert connection.out.size == 0


def test_a_client_gone_before_its_answer_costs_the_connection_alone(stage: Stage) -> None:
    connection = stage.connect()
    stage.batch(connection)
    stage.play()
    stage.clients[0].close()
    ended: list[bool] = []
    stage.pooled[0][1].after = lambda: ended.append(True)

    stage.work()
    stage.play()

    assert connection.state == CLOSED
    assert ended == [True]
    assert stage.log.messages == []
