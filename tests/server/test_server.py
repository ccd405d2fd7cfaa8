"""The server's life: start, stop step by step, again and again, alone and on a bus."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.bus import Bus, ChannelFailures
from kirsch.config import ServerSettings
from kirsch.server import BindError, Server, ThreadHooks, WSGIGateway
from kirsch.server import server as server_module
from kirsch.server.phases import BODY, HEAD
from tests.server.harness import GET, WAIT, Client, Log, hello, serving, thread_names, trust
from tests.server.stage import held, until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from kirsch.server.leader import Loop

Environ = dict[str, Any]
StartResponse = Any


def make(application: Any = hello, *, log: Log | None = None, **options: Any) -> Server:
    """Return a server that has not been started."""
    options.setdefault("bind", ("127.0.0.1:0",))
    options.setdefault("threads", 2)
    names = {"hooks", "end", "access_stream", "name"} & set(options)
    own = {name: options.pop(name) for name in names}
    return Server(WSGIGateway(application), ServerSettings(**options), log=log or Log(), **own)


class Held:
    """A program whose requests to /held wait until they are freed."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.free = threading.Event()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/held":
            self.entered.release()
            self.free.wait(WAIT)
        return hello(environ, start_response)


HELD = GET.replace(b"/ ", b"/held ", 1)


@contextlib.contextmanager
def stopping(server: Server) -> Iterator[Loop]:
    """Have another thread stop `server`; the block runs once that has begun, and is followed by its end."""
    loop = server.loop
    assert loop is not None
    thread = threading.Thread(target=server.stop)
    thread.start()
    until(lambda: loop.draining)
    yield loop
    thread.join(WAIT)
    assert not thread.is_alive()


def states(server: Server) -> list[int]:
    """Return what the connections wait for, in the order they came."""
    assert server.loop is not None
    return [connection.state for connection in server.loop.connections.values()]


# ---- start ---------------------------------------------------------------------------------------------


def test_a_server_tells_where_it_is_and_that_it_runs() -> None:
    server = make(bind=("127.0.0.1:0", "[::1]:0"))
    assert (server.addresses, server.urls, server.running, server.ready, server.scheme) == (
        [],
        [],
        False,
        False,
        "http",
    )

    server.start()

    (v4, first), (v6, second) = server.addresses
    assert (v4, v6) == ("127.0.0.1", "::1")
    assert server.urls == [f"http://127.0.0.1:{first}", f"http://[::1]:{second}"]
    assert server.running
    assert server.ready
    server.stop()
    assert (server.addresses, server.urls, server.running, server.ready) == ([], [], False, False)


def test_a_server_that_runs_is_not_started_again() -> None:
    with serving() as server:
        addresses, threads = server.addresses, threading.active_count()

        server.start()

        assert (server.addresses, threading.active_count()) == (addresses, threads)


def test_connections_are_accepted_as_soon_as_start_returns() -> None:
    with serving() as server, Client(server) as client:
        assert client.get()[2] == b"hello"


def test_threads_bear_the_name_of_their_server() -> None:
    server = make(name="other")
    server.start()
    names = thread_names()
    server.stop()

    assert {"other leader", "other deputy", "other worker 0", "other worker 1"} <= names
    assert not any(name.startswith("other") for name in thread_names())


def test_every_thread_that_serves_is_told_of() -> None:
    told: list[tuple[str, str]] = []

    class Hooks(ThreadHooks):
        def started(self) -> None:
            told.append(("started", threading.current_thread().name))

        def stopped(self) -> None:
            told.append(("stopped", threading.current_thread().name))

    server = make(hooks=Hooks())
    server.start()
    server.stop()

    for name in ("kirsch leader", "kirsch worker 0", "kirsch worker 1"):
        assert [what for what, who in told if who == name] == ["started", "stopped"]


def test_what_is_said_goes_to_the_logger_without_a_bus(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start_response: StartResponse) -> Any:
        raise ValueError("of the program")

    server = Server(WSGIGateway(application), ServerSettings(bind=("127.0.0.1:0",), threads=1))
    with caplog.at_level(logging.INFO, "kirsch.error"):
        server.start()
        with Client(server) as client:
            client.get()
        url = server.urls[0]
        server.stop()

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", f"Serving on {url}"),
        ("ERROR", "The program failed on GET /."),
    ]
    assert "of the program" in caplog.text


def broken_starts(folder: Path) -> dict[str, tuple[dict[str, Any], str]]:
    nothing = str(folder / "nothing.pem")
    (folder / "junk.pem").write_text("junk")
    junk = str(folder / "junk.pem")
    return {
        "no certificate": ({"tls_certificate": nothing}, "no such file"),
        "a broken certificate": ({"tls_certificate": junk}, "PEM"),
        "a folder that is not there": ({"bind": ("127.0.0.1:0", f"unix:{folder}/none/s")}, "folder"),
    }


@pytest.mark.parametrize("case", ["no certificate", "a broken certificate", "a folder that is not there"])
def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path, case: str) -> None:
    settings, text = broken_starts(tmp_path)[case]
    server = make(**settings)
    before = held()

    with pytest.raises(BindError, match=text):
        server.start()

    assert held() == before
    assert (server.loop, server.addresses, server.running) == (None, [], False)
    server.stop()


def test_a_busy_port_is_an_error_and_leaves_the_others_free(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = make(bind=(f"unix:{path}", f"127.0.0.1:{other.getsockname()[1]}"))
        before = held()

        with pytest.raises(BindError, match="in use"):
            server.start()

        assert held() == before
        assert not path.exists()
    server.start()
    assert server.running
    server.stop()


def test_a_system_out_of_means_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    server = make(access_log="common", access_stream=io.StringIO())
    before = held()

    def out_of_descriptors(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(server_module, "Loop", out_of_descriptors)
        with pytest.raises(OSError, match="Too many"):
            server.start()

    assert held() == before
    assert (server.loop, server.addresses) == (None, [])
    server.start()
    with Client(server) as client:
        assert client.get()[2] == b"hello"
    server.stop()


# ---- again and again -----------------------------------------------------------------------------------


def test_fifty_lives_leak_no_descriptor_no_thread_and_no_port() -> None:
    server = make()
    server.start()
    server.stop()
    before = held()

    for number in range(50):
        server.start()
        with Client(server) as client:
            assert client.get()[2] == b"hello"
            address = server.addresses[0]
            if number % 2:
                client.send(GET)
        server.stop()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(address)

    assert held() == before


def test_a_stopped_server_stops_at_once() -> None:
    server = make()
    server.stop()
    server.start()
    server.stop()
    server.stop()

    assert not server.running


def test_many_threads_may_stop_it_at_once() -> None:
    server = make()
    server.start()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: server.stop(), range(8)))

    assert (server.loop, server.running) == (None, False)


def test_starts_and_stops_from_many_threads_leave_it_as_the_last_one_says() -> None:
    server = make()
    server.start()
    server.stop()
    before = held()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda each: each(), [server.start, server.stop] * 15))
    server.start()
    with Client(server) as client:
        assert client.get()[2] == b"hello"
    server.stop()

    assert held() == before


# ---- stop, step by step --------------------------------------------------------------------------------


def test_step_0_it_goes_on_serving_for_the_drain_delay() -> None:
    server = make(drain_delay=0.2)
    server.start()
    thread = threading.Thread(target=server.stop)
    thread.start()
    until(lambda: not server.ready)

    assert server.running
    with Client(server) as client:
        assert client.get()[2] == b"hello"
    thread.join(WAIT)
    assert not server.running


def test_step_1_new_connections_are_refused() -> None:
    program = Held()
    with serving(program) as server, Client(server) as client:
        address = server.addresses[0]
        client.send(HELD)
        assert program.entered.acquire(timeout=WAIT)
        with stopping(server):
            assert not server.running
            assert server.addresses == [address], "still told, in case a handler asks"
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, WAIT)
            program.free.set()


def test_step_1_what_has_connected_already_is_served() -> None:
    program = Held()
    with serving(program, threads=1) as server:
        loop = server.loop
        assert loop is not None
        # The leader is kept from accepting until the stop has been asked for as well.
        busy, go = threading.Event(), threading.Event()

        def hold() -> None:
            busy.set()
            go.wait(WAIT)

        loop.call(hold)
        assert busy.wait(WAIT)
        clients = [Client(server) for _ in range(20)]
        for client in clients[::2]:
            client.send(GET)
        thread = threading.Thread(target=server.stop)
        thread.start()
        until(lambda: bool(loop._inbox))
        go.set()
        for client in clients[1::2]:
            client.send(GET)
        for client in clients:
            line, fields, body = client.response()
            assert (line, body, fields[b"connection"]) == (b"HTTP/1.1 200 OK", b"hello", b"close")
            client.sock.close()
        thread.join(WAIT)


def test_step_2_idle_connections_close_at_once() -> None:
    with serving(idle_timeout=60) as server, Client(server) as client:
        client.get()
        begin = time.monotonic()
        with stopping(server):
            assert client.closed()
            client.sock.close()
        assert time.monotonic() - begin < 2


def test_step_2_a_client_that_ignores_its_close_does_not_hold_up_the_stop() -> None:
    with serving(idle_timeout=60, linger_timeout=60) as server, Client(server) as client:
        client.get()
        begin = time.monotonic()

        server.stop()

        assert time.monotonic() - begin < 3


def test_step_2_a_client_that_goes_on_asking_is_told_before_its_connection_closes() -> None:
    with serving() as server, Client(server) as client:
        trust(server)
        client.get()
        with stopping(server):
            fields: dict[bytes, bytes] = {}
            while b"connection" not in fields:
                _, fields, body = client.get()
                assert body == b"hello"
            assert fields[b"connection"] == b"close"
            assert client.closed()


def test_step_3_running_requests_finish_and_say_that_they_are_the_last() -> None:
    program = Held()
    with serving(program, threads=3) as server:
        clients = [Client(server) for _ in range(3)]
        for client in clients:
            client.send(HELD)
            assert program.entered.acquire(timeout=WAIT)
        with stopping(server) as loop:
            assert not loop.drained.wait(0.1)
            program.free.set()
            for client in clients:
                _, fields, body = client.response()
                assert (body, fields[b"connection"]) == (b"hello", b"close")
                assert client.closed()
                client.sock.close()
        assert server.cut == []


def test_step_3_requests_that_wait_for_a_thread_are_served_too() -> None:
    program = Held()
    with serving(program, threads=1) as server:
        clients = [Client(server) for _ in range(5)]
        for client in clients:
            client.send(HELD)
        assert program.entered.acquire(timeout=WAIT)
        until(lambda: server._pool is not None and server._pool.waiting == 4)
        with stopping(server):
            program.free.set()
            for client in clients:
                assert client.response()[2] == b"hello"
                client.sock.close()


def test_step_4_a_half_sent_head_gets_503_after_its_grace() -> None:
    with serving(shutdown_head_timeout=0.1) as server, Client(server) as head, Client(server) as body:
        head.send(GET[:-4])
        body.send(GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\nx"))
        until(lambda: states(server) == [HEAD, BODY])
        with stopping(server):
            for client in (head, body):
                line, fields, _ = client.response()
                assert line == b"HTTP/1.1 503 Service Unavailable"
                assert fields[b"connection"] == b"close"
                client.sock.close()


def test_step_4_a_half_sent_head_may_still_arrive() -> None:
    with serving(shutdown_head_timeout=WAIT) as server, Client(server) as client:
        client.send(GET[:-4])
        until(lambda: states(server) == [HEAD])
        with stopping(server):
            client.send(GET[-4:])
            _, fields, body = client.response()
            assert (body, fields[b"connection"]) == (b"hello", b"close")
            client.sock.close()


@pytest.mark.parametrize("inline", [False, True])
def test_step_5_and_6_what_runs_too_long_is_named_cut_and_left_behind(inline: bool) -> None:
    entered, free = threading.Event(), threading.Event()

    def a_handler_without_end() -> None:
        entered.set()
        free.wait(WAIT)

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if blocking:
            a_handler_without_end()
        return hello(environ, start_response)

    blocking: list[bool] = []
    log = Log()
    server = make(application, log=log, shutdown_timeout=0.2)
    server.start()
    if inline:
        trust(server)
    blocking.append(True)
    with Client(server) as client:
        client.send(GET)
        assert entered.wait(WAIT)
        begin = time.monotonic()

        server.stop()

        assert 0.2 <= time.monotonic() - begin < 4
        with contextlib.suppress(ConnectionResetError):
            assert client.closed()
    [what] = server.cut
    assert what.startswith("The handler of GET / has ")
    assert log.messages[0] == f"Cut off after 0.2 s of shutdown: {what}"
    thread = "kirsch leader" if inline else "kirsch worker"
    assert log.messages[1].startswith(f"Threads left behind in a handler: {thread}")
    if not inline:
        assert "a_handler_without_end" in what
    free.set()
    until(lambda: not any(name.startswith("kirsch ") for name in thread_names()))
    assert len(log.messages) == 2


def test_step_7_the_access_log_is_written() -> None:
    stream = io.StringIO()
    with serving_to(stream, "json") as server, Client(server) as client:
        client.get(b"/last")
        client.get(b"/one")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["target"] for line in lines] == ["/last", "/one"]


@contextlib.contextmanager
def serving_to(stream: Any, form: str) -> Iterator[Server]:
    server = make(access_log=form, access_stream=stream)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_lines_for_a_stream_that_may_block_are_written_by_the_pool() -> None:
    reading, writing = os.pipe()
    with (
        os.fdopen(writing, "w") as stream,
        os.fdopen(reading, "r") as written,
        serving_to(stream, "common") as server,
        Client(server) as client,
    ):
        client.get(b"/piped")
        assert '"GET /piped HTTP/1.1" 200 5' in written.readline()


def test_the_access_log_goes_to_standard_output_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    server = make(access_log="common")
    server.start()
    with Client(server) as client:
        client.get()
    server.stop()

    assert '"GET / HTTP/1.1" 200 5' in capsys.readouterr().out


def test_a_unix_socket_is_gone_after_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(bind=(f"unix:{path}",)) as server:
        assert path.is_socket()
        assert server.addresses == [(str(path), 0)]
    assert not path.exists()


@pytest.mark.parametrize("inline", [False, True])
def test_a_handler_may_stop_its_own_server(inline: bool) -> None:
    ended = threading.Event()

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/" and asked:
            server.stop()
            ended.set()
        return hello(environ, start_response)

    asked: list[bool] = []
    log = Log()
    server = make(application, log=log, shutdown_timeout=0.1)
    server.start()
    if inline:
        trust(server)
    asked.append(True)
    with Client(server) as client:
        client.send(GET)
        assert ended.wait(WAIT)
    assert server.loop is None
    until(lambda: not any(name.startswith("kirsch ") for name in thread_names()))
    assert not any("error of" in message for message in log.messages)


def test_a_loop_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    server = make(log=log)
    server.start()
    loop = server.loop
    assert loop is not None
    with monkeypatch.context() as patched:
        patched.setattr(loop.drained, "wait", lambda _: False)
        server.stop()

    assert log.messages[0] == "The server's loop did not end in time; its threads are left behind."
    assert server.loop is None


# ---- a stop under load loses nothing -------------------------------------------------------------------


class Load:
    """A client that asks on and on, each connection as long as it may, until it is refused."""

    def __init__(self, server: Server, number: int) -> None:
        self.address = server.addresses[0]
        self.number = number
        self.answered = 0
        self.connections = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while not self.lost:
            try:
                sock = socket.create_connection(self.address, WAIT)
            except ConnectionRefusedError:
                return
            except OSError as error:
                self.lost.append(f"{error!r} while connecting")
                return
            with sock:
                try:
                    self.ask(sock)
                except OSError as error:
                    self.lost.append(f"{error!r} on a connection after {self.connections}")

    def ask(self, sock: socket.socket) -> None:
        paths = itertools.cycle([b"/", b"/slow", b"/streamed", b"/%d" % self.number])
        first = True
        while True:
            sock.sendall(b"GET %b HTTP/1.1\r\nHost: test\r\n\r\n" % next(paths))
            data = b""
            while not data.endswith(b"end."):
                piece = sock.recv(65536)
                if not piece:
                    self.lost.append(f"no answer, but {data!r}")
                    return
                data += piece
            self.answered += 1
            self.connections += first
            first = False
            if b"Connection: close" in data:
                return


def test_a_stop_under_load_resets_no_connection_and_loses_no_answer() -> None:
    served = itertools.count()
    last: list[int] = [0]
    pause = threading.Event()

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        last.append(next(served))
        path = environ["PATH_INFO"]
        if path == "/slow":
            pause.wait(0.003)
        pieces = [b"x" * 100, b"end."]
        if path == "/streamed":
            start_response("200 OK", [("Content-Length", "104")])
            return iter(pieces)
        start_response("200 OK", [])
        return [b"".join(pieces)]

    log = Log()
    with serving(application, log=log, threads=4, max_requests_per_connection=50) as server:
        loop = server.loop
        assert loop is not None
        loads = [Load(server, number) for number in range(8)]
        threads = [threading.Thread(target=load.run) for load in loads]
        for thread in threads:
            thread.start()
        until(lambda: sum(load.answered for load in loads) > 800)

        server.stop()

        for thread in threads:
            thread.join(WAIT)
            assert not thread.is_alive()
    assert [load.lost for load in loads] == [[]] * 8
    assert sum(load.answered for load in loads) == len(last) - 1, "what the program did, a client has read"
    assert loop.acceptor.accepted == sum(load.connections for load in loads)
    assert server.cut == []
    assert log.messages == []


# ---- on a bus ------------------------------------------------------------------------------------------


def test_a_bus_starts_and_stops_it() -> None:
    bus = Bus()
    told: list[str] = []
    bus.subscribe("log", lambda message, level: told.append(message))
    server = make()
    server.subscribe(bus)

    bus.start()
    with Client(server) as client:
        assert client.get()[2] == b"hello"
    url = server.urls[0]
    bus.stop()
    assert server.addresses == []
    bus.start()
    assert len(server.addresses) == 1
    bus.exit()

    assert server.loop is None
    assert f"Serving on {url}" in told


def test_on_a_bus_it_starts_after_plugins_and_stops_before_them() -> None:
    bus = Bus()
    seen: list[tuple[str, bool]] = []
    server = make()
    server.subscribe(bus)
    bus.subscribe("start", lambda: seen.append(("start", server.running)))
    bus.subscribe("stop", lambda: seen.append(("stop", server.running)))

    bus.start()
    bus.stop()
    bus.exit()

    assert seen == [("start", False), ("stop", False)]


def test_a_server_that_left_its_bus_is_not_started_by_it() -> None:
    bus = Bus()
    server = make()
    server.subscribe(bus)
    server.unsubscribe()
    server.unsubscribe()

    bus.start()

    assert not server.running
    bus.exit()


def test_a_start_that_fails_on_a_bus_fails_the_bus(tmp_path: Path) -> None:
    bus = Bus()
    bus.subscribe("log", lambda message, level: None)
    server = make(bind=(f"unix:{tmp_path}/none/s",))
    server.subscribe(bus)

    with pytest.raises(ChannelFailures) as caught:
        bus.start()
    [error] = caught.value.get_instances()
    assert "folder" in str(error)

    assert bus.exit_status != 0
    assert not server.running


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_handler_that_asks_for_the_end_ends_the_bus(kind: type[BaseException]) -> None:
    def application(environ: Environ, start_response: StartResponse) -> Any:
        raise kind

    bus = Bus()
    bus.subscribe("log", lambda message, level: None)
    log = Log()
    server = make(application, log=log)
    server.subscribe(bus)
    bus.start()
    with Client(server) as client:
        assert client.get()[0] == b"HTTP/1.1 500 Internal Server Error"

    bus.wait(bus.states.EXITING, timeout=WAIT)

    until(lambda: not server.running and server.loop is None)
    assert log.seen(f"A handler raised {kind.__name__}: the program ends.")


def test_a_handler_that_asks_for_the_end_without_a_bus_is_answered_and_nothing_more() -> None:
    def application(environ: Environ, start_response: StartResponse) -> Any:
        raise SystemExit

    with serving(application) as server, Client(server) as client:
        assert client.get()[0] == b"HTTP/1.1 500 Internal Server Error"
        assert server.running


def test_who_makes_the_server_may_be_told_of_the_end_instead() -> None:
    def application(environ: Environ, start_response: StartResponse) -> Any:
        raise SystemExit(3)

    ends: list[BaseException] = []
    server = make(application, end=ends.append)
    server.start()
    with Client(server) as client:
        client.get()
    server.stop()

    assert [repr(each) for each in ends] == ["SystemExit(3)"]
