"""Accepting connections: limits, shortage of descriptors, and the last ones at the end."""

from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from kirsch.server.acceptor import Acceptor, descriptor_limit
from kirsch.server.listener import Listener, open_listeners
from kirsch.server.phases import HANDSHAKE, IDLE
from tests.server.harness import GET, WAIT, Client, serving
from tests.server.stage import Stage, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listener() -> Iterator[Listener]:
    [listener] = open_listeners(("127.0.0.1:0",), backlog=256, unix_mode=0o600)
    yield listener
    listener.close()


@pytest.fixture
def stage(listener: Listener) -> Iterator[Stage]:
    stage = Stage(listeners=[listener], max_connections=100)
    stage.loop.acceptor.start()
    yield stage
    stage.close()


def connect(stage: Stage, listener: Listener, number: int = 1) -> list[socket.socket]:
    """Connect clients that nobody has accepted yet."""
    clients = [socket.create_connection(listener.address, WAIT) for _ in range(number)]
    stage.clients += clients
    return clients


class Refusing:
    """A listening socket whose `accept` fails as the test says, and works again afterwards."""

    def __init__(self, sock: socket.socket, *errors: OSError) -> None:
        self.sock = sock
        self.errors = list(errors)
        self.asked = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


def refuse(listener: Listener, *codes: int) -> Refusing:
    refusing = Refusing(listener.sock, *(OSError(code, "the system's words") for code in codes))
    listener.sock = cast("socket.socket", refusing)
    return refusing


def accept(stage: Stage, listener: Listener) -> bool:
    return stage.loop.acceptor.accept(listener.sock.fileno())


# ---- what is accepted ----------------------------------------------------------------------------------


def test_a_client_becomes_a_watched_connection(stage: Stage, listener: Listener) -> None:
    [client] = connect(stage, listener)

    assert not accept(stage, listener), "there is no other"

    [connection] = stage.loop.connections.values()
    assert connection.peer == client.getsockname()
    assert connection.local == listener.address
    assert (connection.scheme, connection.state) == ("http", IDLE)
    assert connection.descriptor in stage.poller.watched
    assert not connection.sock.getblocking()
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert stage.loop.acceptor.accepted == 1


def test_small_writes_may_wait_when_the_setting_says_so(listener: Listener) -> None:
    stage = Stage(listeners=[listener], nodelay=False)
    connect(stage, listener)

    accept(stage, listener)

    [connection] = stage.loop.connections.values()
    assert not connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    stage.close()


def test_a_client_on_a_unix_socket_has_no_address(tmp_path: Path) -> None:
    [listener] = open_listeners((f"unix:{tmp_path / 's'}",), backlog=1, unix_mode=0o600)
    stage = Stage(listeners=[listener])
    client = socket.socket(socket.AF_UNIX)
    stage.clients.append(client)
    client.connect(str(tmp_path / "s"))

    accept(stage, listener)

    [connection] = stage.loop.connections.values()
    assert connection.peer == ("", 0)
    stage.close()
    listener.close()


def test_with_a_context_connections_begin_with_a_handshake(listener: Listener) -> None:
    import ssl

    from kirsch.server.tls import TLSConnection

    stage = Stage(listeners=[listener])
    stage.loop.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    acceptor = Acceptor(stage.loop, [listener])
    connect(stage, listener)

    acceptor.accept(listener.sock.fileno())

    [connection] = stage.loop.connections.values()
    assert isinstance(connection, TLSConnection)
    assert (connection.scheme, connection.state) == ("https", HANDSHAKE)
    stage.close()


def test_a_crowd_is_accepted_in_turns(stage: Stage, listener: Listener) -> None:
    connect(stage, listener, 70)

    assert accept(stage, listener), "there are more"
    assert len(stage.loop.connections) == 64
    assert not accept(stage, listener)
    assert len(stage.loop.connections) == 70


def test_the_poller_reports_a_listener_until_nobody_waits(stage: Stage, listener: Listener) -> None:
    connect(stage, listener, 70)
    for _ in range(2):
        stage.poller.batches.append([(listener.sock.fileno(), 1)])

    stage.play()

    assert len(stage.loop.connections) == 70


def test_a_descriptor_that_is_no_listener_is_forgotten(stage: Stage) -> None:
    stage.poller.watched.add(9999)

    assert not stage.loop.acceptor.accept(9999)

    assert 9999 not in stage.poller.watched


# ---- limits ---------------------------------------------------------------------------------------------


def test_beyond_the_limit_clients_get_503_and_are_closed() -> None:
    with serving(max_connections=2) as server, Client(server) as one, Client(server) as two:
        one.get()
        two.get()
        with Client(server) as three:
            line, fields, _ = three.response()
            assert line == b"HTTP/1.1 503 Service Unavailable"
            assert fields[b"retry-after"] == b"1"
            assert fields[b"connection"] == b"close"
            assert three.closed()
        assert one.get()[2] == b"hello", "the others go on"
        assert server.loop is not None
        assert (server.loop.acceptor.accepted, server.loop.acceptor.rejected) == (2, 1)

        one.sock.close()
        until(lambda: server.loop is not None and len(server.loop.connections) == 1)
        with Client(server) as four:
            assert four.get()[2] == b"hello"


def test_beyond_the_limit_a_client_of_tls_is_only_closed(listener: Listener) -> None:
    import ssl

    stage = Stage(listeners=[listener], max_connections=1)
    stage.loop.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    acceptor = Acceptor(stage.loop, [listener])
    connect(stage, listener, 2)

    acceptor.accept(listener.sock.fileno())

    assert acceptor.rejected == 1
    assert stage.clients[1].recv(100) == b""
    stage.close()


def test_a_client_that_is_gone_before_it_is_rejected_is_no_error(listener: Listener) -> None:
    stage = Stage(listeners=[listener], max_connections=1)
    for client in connect(stage, listener, 3)[1:]:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()

    accept(stage, listener)

    assert stage.log.messages == []
    stage.close()


@pytest.mark.parametrize(
    ("soft", "limit"), [(1024, 960), (64, 16), (10, 16), (resource.RLIM_INFINITY, 1 << 20)]
)
def test_the_limit_follows_that_on_open_files(monkeypatch: pytest.MonkeyPatch, soft: int, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))

    assert descriptor_limit() == limit


def test_a_system_without_such_a_limit_has_that_of_its_select(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)

    assert descriptor_limit() == 512 - 64


# ---- what accept can say --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_when_descriptors_run_out_the_listeners_are_left_alone(
    stage: Stage, listener: Listener, code: int
) -> None:
    connect(stage, listener)
    refusing = refuse(listener, code)

    assert not accept(stage, listener)

    assert refusing.asked == 1
    assert stage.loop.acceptor.paused
    assert listener.sock.fileno() not in stage.poller.watched
    assert stage.log.messages == ["No more descriptors for new connections; waiting for some to close."]


def test_they_are_watched_again_when_a_connection_closes(stage: Stage, listener: Listener) -> None:
    connect(stage, listener)
    accept(stage, listener)
    refuse(listener, errno.EMFILE)
    accept(stage, listener)
    [connection] = stage.loop.connections.values()

    connection.close()

    assert not stage.loop.acceptor.paused
    assert listener.sock.fileno() in stage.poller.watched


def test_while_they_are_watched_nothing_is_begun_or_ended_twice(stage: Stage, listener: Listener) -> None:
    stage.loop.acceptor.resume()
    stage.loop.acceptor.start()
    stage.loop.acceptor.pause()
    stage.loop.acceptor.pause()

    assert stage.loop.acceptor.paused


def test_while_the_server_stops_nothing_is_watched_again(stage: Stage) -> None:
    stage.loop.acceptor.pause()
    stage.loop.draining = True

    stage.loop.acceptor.resume()

    assert stage.loop.acceptor.paused


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN])
def test_a_client_that_gave_up_is_passed_over(stage: Stage, listener: Listener, code: int) -> None:
    connect(stage, listener)
    refuse(listener, code, code)

    accept(stage, listener)

    assert len(stage.loop.connections) == 1
    assert stage.log.messages == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.ENOTSOCK])
def test_a_listener_that_was_shut_from_outside_is_dropped(
    stage: Stage, listener: Listener, code: int
) -> None:
    descriptor = listener.sock.fileno()
    refusing = refuse(listener, *[code] * 1000)

    assert not accept(stage, listener)

    assert refusing.asked == 1
    assert descriptor not in stage.poller.watched
    assert not stage.loop.acceptor.paused
    assert stage.log.messages == ["A listening socket is of no more use: the system's words."]
    stage.loop.acceptor.close()


def test_an_inherited_listener_that_its_owner_shuts_down_does_not_make_the_leader_spin() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as owner,
        serving(bind=(f"fd:{owner.fileno()}", "127.0.0.1:0")) as server,
    ):
        owner.shutdown(socket.SHUT_RDWR)
        until(lambda: server.loop is not None and len(server.loop.acceptor._listeners) == 1)
        with socket.create_connection(server.addresses[1], WAIT) as client:
            client.sendall(GET)
            assert client.recv(15) == b"HTTP/1.1 200 OK"


# ---- for real: more clients than descriptors ------------------------------------------------------------

_SHORT = """
import resource, socket, sys, threading, time
sys.path.insert(0, sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from tests.server.harness import GET, Client, Log, serving

log = Log()
with serving(log=log, max_connections=1000, threads=2) as server:
    with Client(server) as first:
        assert first.get()[2] == b"hello"
        # The program itself uses up what there is; no connection will close to wake the listener.
    files = []
    try:
        while True:
            files.append(open("/dev/null"))
    except OSError:
        files.pop().close()
    waiting = Client(server)
    waiting.send(GET)
    deadline = time.monotonic() + 10
    while not log.messages:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    cpu = time.process_time()
    time.sleep(0.3)
    busy = time.process_time() - cpu
    for file in files:
        file.close()
    assert waiting.response()[2] == b"hello"
    waiting.sock.close()
    assert busy < 0.15, f"{busy} s of CPU while waiting"
    assert set(log.messages) == {"No more descriptors for new connections; waiting for some to close."}
    assert len(log.messages) < 5, log.messages
    # Now clients use them up, and go.
    before = len(log.messages)
    clients = []
    try:
        while True:
            clients.append(Client(server))
            clients[-1].send(GET)
    except OSError:
        pass
    for client in clients:
        client.sock.close()
    with Client(server) as last:
        assert last.get()[2] == b"hello"
print("recovered")
"""


def test_a_shortage_of_descriptors_costs_no_cpu_and_no_client(request: pytest.FixtureRequest) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SHORT, str(request.config.rootpath)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "recovered\n", done.stderr


# ---- the end --------------------------------------------------------------------------------------------


def test_what_waits_at_the_end_is_accepted_and_what_comes_later_refused(
    stage: Stage, listener: Listener
) -> None:
    address = listener.address
    connect(stage, listener, 90)

    stage.loop.acceptor.close()

    assert len(stage.loop.connections) == 90
    assert listener.sock.fileno() == -1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, WAIT)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot be told")
def test_who_comes_after_the_last_accept_is_ignored_rather_than_reset(
    stage: Stage, listener: Listener
) -> None:
    [before] = connect(stage, listener)

    listener.turn_away()

    with socket.socket() as late:
        late.setblocking(False)  # noqa: FBT003  the socket's own signature
        assert late.connect_ex(listener.address) == errno.EINPROGRESS
        accept(stage, listener)
        assert late.connect_ex(listener.address) == errno.EALREADY
    [connection] = stage.loop.connections.values()
    connection.sock.sendall(b"still")
    assert before.recv(5) == b"still"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot be told")
def test_the_last_ones_are_accepted_when_no_other_can_come(stage: Stage, listener: Listener) -> None:
    address = listener.address
    late = socket.socket()
    stage.clients.append(late)
    late.setblocking(False)  # noqa: FBT003  the socket's own signature

    class JustInTime(Refusing):
        """A listening socket on which a client arrives right after the last look into its queue."""

        def accept(self) -> tuple[socket.socket, Any]:
            try:
                return self.sock.accept()
            except BlockingIOError:
                late.connect_ex(address)
                raise

    connect(stage, listener)
    listener.sock = cast("socket.socket", JustInTime(listener.sock))

    stage.loop.acceptor.close()

    assert len(stage.loop.connections) == 1
    assert late.connect_ex(address) == errno.EALREADY, "neither connected nor reset"


def test_a_listener_that_others_share_goes_on_for_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        with serving(bind=(f"fd:{owner.fileno()}",)) as server, Client(server) as client:
            assert client.get()[2] == b"hello"
        with socket.create_connection(owner.getsockname(), WAIT):
            owner.settimeout(WAIT)
            owner.accept()[0].close()


def test_a_flood_at_the_end_is_not_accepted_without_end(stage: Stage, listener: Listener) -> None:
    class Flood(Refusing):
        def accept(self) -> tuple[socket.socket, Any]:
            self.asked += 1
            ours, theirs = socket.socketpair()
            theirs.close()
            return ours, ("192.0.2.1", 1)

    flood = Flood(listener.sock)
    listener.sock = cast("socket.socket", flood)
    listener.is_tcp = False

    stage.loop.acceptor.close()

    assert flood.asked <= stage.loop.settings.backlog + 1


def test_an_acceptor_closes_once(stage: Stage) -> None:
    stage.loop.acceptor.close()
    stage.loop.acceptor.close()

    assert not stage.loop.acceptor.paused
