"""Clients on the wire: slow, stuck, greedy, leaving; long bodies; and what time does to them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.programs import OK, Content, answers, at_once
from tests.server.wire import Client, Live, echo, get, serving, talk

if TYPE_CHECKING:
    from pathlib import Path


# ---- slow clients -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "generator", "file"])
def test_thirty_slow_readers_hold_no_thread(tmp_path: Path, kind: str) -> None:
    block = bytes(range(256)) * 256
    large = tmp_path / "large"
    large.write_bytes(block * 160)

    def program(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/quick":
            return [b"quick"]
        if kind == "list":
            return [block * 160]
        if kind == "file":
            return environ["wsgi.file_wrapper"](large.open("rb"))
        return (block for _ in range(160))

    with serving(program, threads=10) as live, ExitStack() as stack:
        readers = [stack.enter_context(Client(live, buffer=65536)) for _ in range(30)]
        for reader in readers:
            reader.send(get("/large"))
        for reader in readers:
            assert reader.until(b"\r\n\r\n").startswith(OK)
        at_once(live)
        # What was put aside arrives whole.
        for reader in (readers[0], readers[29]):
            if kind == "generator":
                body, _ = reader._chunks()
                assert body == block * 160
            else:
                assert reader.exactly(len(block) * 160) == block * 160
        at_once(live)


@pytest.mark.parametrize(
    "stuck",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        get("/quick"),
    ],
)
def test_thirty_stuck_clients_hold_no_thread(stuck: bytes) -> None:
    with serving(answers(b"quick"), threads=10) as live, ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(Client(live)).send(stuck)
        at_once(live)


def test_a_client_as_fast_as_the_server_leaves_the_others_their_turn(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)

    def program(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/quick":
            return [b"quick"]
        return environ["wsgi.file_wrapper"](large.open("rb"))

    with serving(program) as live, Client(live) as greedy:
        greedy.send(get("/large"))
        greedy.until(b"\r\n\r\n")
        stop = threading.Event()

        def read() -> None:
            room = bytearray(1 << 20)
            while not stop.is_set() and greedy.sock.recv_into(room):
                pass

        thread = threading.Thread(target=read)
        thread.start()
        try:
            at_once(live, 0.5)
        finally:
            stop.set()
            thread.join(10)


# ---- bodies -------------------------------------------------------------------------------------


def digest(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what a body looks like to a program that reads it in many ways."""
    stream = environ["wsgi.input"]
    kind = b"memory" if hasattr(stream, "getbuffer") else b"file"
    line = stream.readline()
    rest = b"".join(iter(lambda: stream.read(10_000), b""))
    start_response("200 OK", [])
    return [b"%b %d %d %b" % (kind, len(line), len(rest), environ["CONTENT_LENGTH"].encode())]


@pytest.mark.parametrize(
    ("size", "kind"), [(10, b"memory"), (1000, b"memory"), (1001, b"file"), (300_000, b"file")]
)
@pytest.mark.parametrize("form", ["length", "chunked"])
def test_a_long_body_reaches_the_program_through_a_file(size: int, kind: bytes, form: str) -> None:
    body = b"1234\n" + b"x" * (size - 5)
    with serving(digest, body_memory=1000) as live, Client(live) as client:
        for _ in range(2):
            if form == "length":
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
            else:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                for begin in range(0, size, 10_000):
                    piece = body[begin : begin + 10_000]
                    client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                client.send(b"0\r\n\r\n")
            assert client.answer().body == b"%b 5 %d %d" % (kind, size - 5, size)


def test_a_body_the_program_does_not_read_is_no_request() -> None:
    body = get("/smuggled")
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with serving(answers(b"x")) as live:
        assert talk(live, post * 2).count(OK) == 2


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_in_the_middle_of_its_upload_reads_why_it_is_refused(
    expect: bytes, *, chunked: bool
) -> None:
    with serving(answers(b"x"), max_body=100_000) as live, Client(live) as client:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 20000000"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b%b\r\n\r\n" % (expect, framing))
        answer = client.answer() if expect else None
        if answer is not None and chunked:
            assert answer.status == 100
            answer = None
        if answer is None:
            # Sent to its end, though the server said no long ago: closing would reset the connection.
            for _ in range(40):
                client.send((b"7a120\r\n%b\r\n" if chunked else b"%b") % (b"x" * 500_000))
            answer = client.answer()
        assert answer.status == 413
        assert answer.get("Connection") == "close"
        assert client.ended()


# ---- time ------------------------------------------------------------------------------------------


def waits(live: Live, data: bytes, **options: Any) -> tuple[bytes, float]:
    """Send `data`, then nothing; return what comes until the server ends it, and after how many seconds."""
    begin = time.monotonic()
    with Client(live, **options) as client:
        client.send(data)
        return client.rest(), time.monotonic() - begin


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 408 Request Timeout\r\n"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", b"HTTP/1.1 408 Request Timeout\r\n"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
            b"HTTP/1.1 408 Request Timeout\r\n",
        ),
        (get("/"), OK),
        (get("/") + b"GET", b"HTTP/1.1 408 Request Timeout\r\n"),
    ],
)
def test_a_client_that_keeps_silent_is_given_up_in_time(data: bytes, status: bytes) -> None:
    with serving(answers(b"x"), head_timeout=0.3, body_timeout=0.3, idle_timeout=0.3) as live:
        says, seconds = waits(live, data)
        assert status in says
        assert says.count(b"HTTP/1.1") == (data != b"") + (data == get("/") + b"GET")
        assert 0.2 < seconds < 5


def test_bytes_now_and_then_do_not_keep_a_head_going() -> None:
    with serving(answers(b"x"), head_timeout=0.4) as live, Client(live) as client:
        begin = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        client.sock.settimeout(0.05)
        while time.monotonic() - begin < 5:
            client.send(b"y")
            try:
                if b"\r\n\r\n" in client.buffer or not client._more():
                    break
            except TimeoutError:
                continue
        assert client.buffer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begin < 4


def test_a_body_that_trickles_is_given_up_though_it_never_stops() -> None:
    with serving(answers(b"x"), body_timeout=0.4, body_min_rate=1000) as live, Client(live) as client:
        begin = time.monotonic()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        client.sock.settimeout(0.05)
        while time.monotonic() - begin < 5:
            client.send(b"y")
            try:
                if b"\r\n\r\n" in client.buffer or not client._more():
                    break
            except TimeoutError:
                continue
        assert client.buffer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("kind", ["list", "generator"])
def test_a_client_that_reads_nothing_is_given_up_and_its_content_closed(kind: str) -> None:
    content = Content(*[b"x" * 65536] * 2000)

    def program(_: object, start_response: Any) -> Any:
        start_response("200 OK", [])
        return content if kind == "generator" else [b"x" * 20_000_000]

    with serving(program, write_timeout=0.3, response_buffer=1_000_000) as live:
        with Client(live, buffer=4096) as client:
            client.send(get("/"))
            if kind == "generator":
                content.check()
            for _ in range(500):
                if live.loop is not None and not live.loop.connections:
                    break
                time.sleep(0.01)
            assert live.loop is not None
            assert not live.loop.connections
        assert live.logged == []


def test_a_client_that_never_ends_its_side_is_closed_after_the_linger() -> None:
    with serving(answers(b"x"), linger_timeout=0.3) as live, Client(live) as client:
        client.send(b"bad\r\n\r\n")
        assert client.answer().status == 400
        assert client.ended()
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begin < 5:
                client.sock.sendall(b"x" * 1000)
                time.sleep(0.01)
        assert 0.1 < time.monotonic() - begin < 4


def test_without_a_linger_the_connection_closes_at_once() -> None:
    with serving(answers(b"x"), linger_timeout=0.0) as live, Client(live) as client:
        client.send(get("/", "Connection: close"))
        assert client.answer().body == b"x"
        assert client.ended()
        for _ in range(200):
            if live.loop is not None and not live.loop.connections:
                break
            time.sleep(0.01)
        assert live.loop is not None
        assert not live.loop.connections


def test_a_connection_serves_as_many_requests_as_it_may() -> None:
    with serving(answers(b"x"), max_requests_per_connection=3) as live, Client(live) as client:
        client.send(get("/") * 5)
        assert [client.answer().get("Connection") for _ in range(3)] == [None, None, "close"]
        assert client.ended()
    with serving(answers(b"x"), idle_timeout=0.0) as live, Client(live) as client:
        client.send(get("/"))
        assert client.answer().get("Connection") == "close"


def test_more_connections_than_there_may_be_are_told_so() -> None:
    with serving(answers(b"x"), max_connections=2) as live, Client(live) as first, Client(live) as second:
        for client in (first, second):
            client.send(get("/"))
            client.answer()
        with Client(live) as third:
            answer = third.answer()
            assert (answer.status, answer.get("Retry-After")) == (503, "1")
            assert third.ended()
        first.sock.close()
        for _ in range(200):
            with Client(live) as fourth:
                fourth.send(get("/"))
                if fourth.answer().status == 200:
                    break
            time.sleep(0.01)
        else:
            pytest.fail("the place that became free was never given")


def test_a_unix_socket_is_served(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "socket"
    with serving(echo, bind=(f"unix:{path}", "127.0.0.1:0")) as live:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(get("/a", "Connection: close"))
            client.settimeout(10)
            assert b'"target": "/a"' in b"".join(iter(lambda: client.recv(65536), b""))
        assert live.urls[0] == f"unix:{path}"
