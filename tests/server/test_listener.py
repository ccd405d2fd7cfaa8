"""Listening sockets: bound before anything else, all or none, and a sentence for what went wrong."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kirsch.server import listener as module
from kirsch.server.errors import BindError
from kirsch.server.listener import open_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.server.listener import Listener


@pytest.fixture
def opened() -> Iterator[Callable[..., list[Listener]]]:
    """Opens listeners and closes them after the test; fails when a descriptor stays open."""
    before = descriptors()
    made: list[Listener] = []

    def listen(*binds: str, mode: int = 0o660, backlog: int = 5) -> list[Listener]:
        found = open_listeners(binds, backlog=backlog, unix_mode=mode)
        made.extend(found)
        return found

    yield listen
    for listener in made:
        listener.close()
    assert descriptors() == before


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def refusal(listen: Callable[..., list[Listener]], *binds: str) -> str:
    """Return what is said about addresses that cannot be listened on."""
    with pytest.raises(BindError) as caught:
        listen(*binds)
    return str(caught.value)


def reaches(listener: Listener, target: str | tuple[str, int], family: int = socket.AF_INET) -> bool:
    """Tell whether a client that connects to `target` arrives at `listener`."""
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(target)
        listener.sock.settimeout(10)
        accepted, _ = listener.sock.accept()
        accepted.close()
        return True


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a path short enough for Unix sockets."""
    return tmp_path_factory.mktemp("s")


def test_port_0_gets_a_real_port(opened: Callable[..., list[Listener]]) -> None:
    (listener,) = opened("127.0.0.1:0")
    host, port = listener.address
    assert host == "127.0.0.1"
    assert port > 0
    assert listener.url("http") == f"http://127.0.0.1:{port}"
    assert listener.is_tcp
    assert listener.sock.getblocking() is False
    assert reaches(listener, ("127.0.0.1", port))


@pytest.mark.parametrize(
    ("address", "scheme", "url"),
    [
        (("127.0.0.1", 80), "http", "http://127.0.0.1"),
        (("127.0.0.1", 443), "https", "https://127.0.0.1"),
        (("127.0.0.1", 443), "http", "http://127.0.0.1:443"),
        (("::1", 80), "http", "http://[::1]"),
        (("::1", 8080), "https", "https://[::1]:8080"),
    ],
)
def test_a_url_is_as_short_as_a_person_would_write_it(
    opened: Callable[..., list[Listener]], address: tuple[str, int], scheme: str, url: str
) -> None:
    (listener,) = opened("127.0.0.1:0")
    listener.address = address
    assert listener.url(scheme) == url


def test_several_addresses_are_several_listeners(opened: Callable[..., list[Listener]]) -> None:
    found = opened("127.0.0.1:0", "127.0.0.1:0", "[::1]:0")
    assert len({listener.address for listener in found}) == 3
    assert found[2].url("http").startswith("http://[::1]:")


def test_a_name_with_two_addresses_is_listened_on_at_one_port(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", both)
    found = opened("localhost:0")
    assert [listener.address[0] for listener in found] == ["::1", "127.0.0.1"]
    assert len({listener.address[1] for listener in found}) == 1


def both(_: str, port: int, **__: object) -> list[tuple[object, ...]]:
    """Resolve every name to both loopback addresses, one of them twice."""
    six = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
    return [six, six, (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def test_an_address_this_machine_lacks_is_no_matter_beside_one_it_has(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        ],
    )
    (listener,) = opened("somewhere:0")
    assert listener.address[0] == "127.0.0.1"


def test_a_port_free_on_one_address_only_is_tried_again_and_given_up_at_last(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._bound
    tries = []

    def taken(family: int, address: tuple[object, ...], backlog: int, *, dual: bool) -> socket.socket:
        if family == socket.AF_INET:
            tries.append(address)
            if len(tries) % 8 != succeeds:
                raise OSError(errno.EADDRINUSE, "Address already in use")
        return real(family, address, backlog, dual=dual)

    monkeypatch.setattr(socket, "getaddrinfo", both)
    monkeypatch.setattr(module, "_bound", taken)
    succeeds = 3
    assert len(opened("localhost:0")) == 2
    assert len(tries) == 3
    tries.clear()
    succeeds = -1
    assert "in use by another program" in refusal(opened, "localhost:0")
    assert len(tries) == 8


def test_every_address_of_the_machine_includes_ipv4_unless_that_is_listened_on_by_itself(
    opened: Callable[..., list[Listener]],
) -> None:
    (listener,) = opened("[::]:0")
    port = listener.address[1]
    assert reaches(listener, ("127.0.0.1", port))
    assert reaches(listener, ("::1", port), socket.AF_INET6)
    listener.close()
    six, four = opened(f"[::]:{port}", f"0.0.0.0:{port}")
    assert reaches(four, ("127.0.0.1", port))
    assert reaches(six, ("::1", port), socket.AF_INET6)


def test_a_port_in_use_is_said_in_words_and_nothing_stays_open(
    opened: Callable[..., list[Listener]],
) -> None:
    (listener,) = opened("127.0.0.1:0")
    taken = f"127.0.0.1:{listener.address[1]}"
    assert refusal(opened, "127.0.0.1:0", taken, "127.0.0.1:0") == (
        f"Cannot listen on {taken}: the address is in use by another program. Stop it, or choose another"
        " (port 0 finds a free port)."
    )


def test_an_address_of_another_machine_and_an_unknown_name_are_said_in_words(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such address" in refusal(opened, "192.0.2.1:8080")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refusal(opened, "nowhere.invalid:80").endswith("the host name does not resolve to an address.")


def test_a_port_without_the_right_to_it_is_said_in_words(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module, "_bound", denied)
    assert "permission denied. Ports below 1024" in refusal(opened, "127.0.0.1:80")


def test_a_program_restarted_at_once_gets_its_port_again(opened: Callable[..., list[Listener]]) -> None:
    (listener,) = opened("127.0.0.1:0")
    bind = f"127.0.0.1:{listener.address[1]}"
    with socket.create_connection(listener.address):
        listener.sock.settimeout(10)
        accepted, _ = listener.sock.accept()
        # Closed first here, so this side is the one that waits.
        accepted.close()
    listener.close()
    assert opened(bind)[0].address == listener.address


def test_a_unix_socket_has_its_mode_from_the_first_moment_and_goes_with_the_listener(
    opened: Callable[..., list[Listener]], short: Path
) -> None:
    path = short / "socket"
    umask = os.umask(0)
    os.umask(umask)
    (listener,) = opened(f"unix:{path}", mode=0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.umask(umask) == umask
    assert (listener.address, listener.url("http")) == ((str(path), 0), f"unix:{path}")
    assert not listener.is_tcp
    assert reaches(listener, str(path), socket.AF_UNIX)
    listener.close()
    assert not path.exists()


def test_a_unix_socket_nobody_listens_on_is_replaced(
    opened: Callable[..., list[Listener]], short: Path
) -> None:
    path = short / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = opened(f"unix:{path}")
    assert reaches(listener, str(path), socket.AF_UNIX)


@pytest.mark.parametrize("backlog", [0, 5])
def test_a_unix_socket_in_use_and_any_other_file_are_left_alone(
    opened: Callable[..., list[Listener]], short: Path, backlog: int
) -> None:
    path = short / "socket"
    (listener,) = opened(f"unix:{path}", backlog=backlog)
    clients = []
    for _ in range(backlog == 0 and 3):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].setblocking(False)  # noqa: FBT003  the socket's own signature
        if clients[-1].connect_ex(str(path)) == errno.EAGAIN:
            break
    assert "in use by another program" in refusal(opened, f"unix:{path}")
    assert path.exists()
    for client in clients:
        client.close()
    listener.close()
    path.write_text("mine")
    assert "there is a file of that name" in refusal(opened, f"unix:{path}")
    assert path.read_text() == "mine"


def test_a_path_that_is_another_listeners_by_now_is_not_removed(
    opened: Callable[..., list[Listener]], short: Path
) -> None:
    path = short / "socket"
    (first,) = opened(f"unix:{path}")
    path.unlink()
    (second,) = opened(f"unix:{path}")
    first.close()
    assert reaches(second, str(path), socket.AF_UNIX)
    path.unlink()
    second.close()


@pytest.mark.parametrize(
    ("path", "says"),
    [("missing/socket", "the folder of the socket does not exist."), ("x" * 200, "path too long")],
)
def test_a_path_that_cannot_be_is_said_in_words(
    opened: Callable[..., list[Listener]], short: Path, path: str, says: str
) -> None:
    assert says in refusal(opened, f"unix:{short / path}")


def test_a_unix_socket_whose_mode_cannot_be_set_is_removed(
    opened: Callable[..., list[Listener]], short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", denied)
    assert "Operation not permitted" in refusal(opened, f"unix:{short / 'socket'}")
    assert not (short / "socket").exists()


def test_an_abstract_socket_has_a_name_and_no_file(opened: Callable[..., list[Listener]]) -> None:
    name = f"@kirsch-{os.getpid()}-{threading.get_ident()}"
    (listener,) = opened(f"unix:{name}")
    assert (listener.address, listener.url("https")) == ((name, 0), f"unix:{name}")
    assert reaches(listener, f"\0{name[1:]}", socket.AF_UNIX)
    assert "in use" in refusal(opened, f"unix:{name}")


def test_a_system_without_unix_sockets_says_so(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert "this system has no Unix sockets" in refusal(opened, "unix:/tmp/socket")


@pytest.mark.parametrize("listens", [True, False])
def test_an_inherited_socket_is_served_and_left_to_its_owner(
    opened: Callable[..., list[Listener]], *, listens: bool
) -> None:
    with socket.socket() as parent:
        parent.bind(("127.0.0.1", 0))
        if listens:
            parent.listen(1)
        (listener,) = opened(f"fd:{parent.fileno()}")
        assert listener.address == parent.getsockname()
        assert reaches(listener, parent.getsockname())
        listener.close()
        # It still listens, for whoever serves next.
        with socket.create_connection(parent.getsockname(), 10):
            pass


def test_a_descriptor_that_is_no_listening_socket_is_said_in_words(
    opened: Callable[..., list[Listener]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no such socket is open" in refusal(opened, "fd:999")
    reading, writing = os.pipe()
    assert "no such socket is open" in refusal(opened, f"fd:{reading}")
    os.close(reading)
    os.close(writing)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        assert refusal(opened, f"fd:{datagrams.fileno()}").startswith("Cannot listen on fd:")

    def broken(**_: object) -> None:
        raise OSError(errno.ENOTSOCK, "Socket operation on non-socket")

    with socket.create_server(("127.0.0.1", 0)) as parent:
        monkeypatch.setattr(socket, "socket", broken)
        assert "Socket operation on non-socket" in refusal(opened, f"fd:{parent.fileno()}")
        monkeypatch.undo()
