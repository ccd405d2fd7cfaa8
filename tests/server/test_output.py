"""What waits for a socket: bytes come out as they went in; nothing stays open or grows without bound."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.server import output as module
from kirsch.server.output import FileSlice, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class Socket:
    """Takes so many bytes at a time, as told; refuses when it has no more turns."""

    def __init__(self, *turns: int, refusal: type[OSError] = BlockingIOError) -> None:
        self.turns = list(turns)
        self.refusal = refusal
        self.got = b""

    def send(self, data: Any) -> int:
        if not self.turns:
            raise self.refusal
        taken = bytes(data[: self.turns.pop(0)])
        self.got += taken
        return len(taken)


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def flush(output: Output, sock: Any, most: int = 1 << 62) -> int:
    """Flush as the leader does."""
    with output.lock:
        return output.flush(sock, most)


def fill(output: Output, *data: bytes) -> None:
    """Append as a handler does."""
    for piece in data:
        with output.lock:
            output.append(piece)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)  # noqa: FBT003  the socket's own signature
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        yield ours, theirs


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4096)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def drain(output: Output, ours: socket.socket, theirs: socket.socket) -> bytes:
    """Read what the output holds, as a client that reads and a leader that flushes."""
    theirs.setblocking(False)  # noqa: FBT003  the socket's own signature
    got = bytearray()
    while output.size:
        flush(output, ours)
        with contextlib.suppress(BlockingIOError):
            while data := theirs.recv(1 << 16):
                got += data
    return bytes(got)


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.binary(max_size=30), st.integers(0, 12)), max_size=25),
    st.integers(0, 40),
)
def test_bytes_come_out_as_they_went_in_whatever_the_socket_takes(
    steps: list[bytes | int], memory: int
) -> None:
    output = Output(memory, plain=False)
    sock = Socket()
    went_in = b""
    for step in steps:
        if isinstance(step, bytes):
            fill(output, step)
            went_in += step
        else:
            sock.turns = [3] * step
            before = output.size
            assert flush(output, sock) == before - output.size
        assert output.size == len(went_in) - len(sock.got)
    sock.turns = [7] * 1000
    flush(output, sock)
    assert sock.got == went_in
    assert (output.size, output.blocked) == (0, False)
    output.fail()


@pytest.mark.parametrize("plain", [True, False])
def test_memory_files_and_slices_leave_in_order(
    pair: tuple[socket.socket, socket.socket], file: int, *, plain: bool
) -> None:
    before = descriptors()
    output = Output(100_000, plain=plain)
    with output.lock:
        output.append(b"a" * 60_000)
        output.append(b"b" * 60_000)
        output.append_file(FileSlice(file, 3, 300_000))
        output.append(b"c" * 10)
    assert output.size == 420_010
    whole = bytes(range(256)) * 4096
    assert drain(output, *pair) == b"a" * 60_000 + b"b" * 60_000 + whole[3:300_003] + b"c" * 10
    assert descriptors() == before


def test_without_sendfile_a_slice_is_copied(
    pair: tuple[socket.socket, socket.socket], file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HAS_SENDFILE", False)
    output = Output(10, plain=True)
    with output.lock:
        output.append_file(FileSlice(file, 255, 700_001))
    assert drain(output, *pair) == (bytes(range(256)) * 4096)[255:700_256]


def test_a_slice_outlives_the_file_it_was_made_of(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as opened:
        piece = FileSlice(opened.fileno(), 2, 5)
    path.unlink()
    output = Output(10, plain=True)
    with output.lock:
        output.append_file(piece)
    assert drain(output, *pair) == b"23456"
    piece.close()


@pytest.mark.parametrize("plain", [True, False])
def test_a_file_cut_short_meanwhile_breaks_the_connection(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, *, plain: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    output = Output(10, plain=plain)
    with path.open("rb") as opened, output.lock:
        output.append_file(FileSlice(opened.fileno(), 0, 1000))
    with pytest.raises(OSError, match="became shorter"):
        flush(output, pair[0])
    output.fail()


def test_an_empty_slice_and_empty_bytes_are_nothing(
    pair: tuple[socket.socket, socket.socket], file: int
) -> None:
    output = Output(10, plain=True)
    fill(output, b"", b"")
    with output.lock:
        output.append_file(FileSlice(file, 0, 0))
    assert (flush(output, pair[0]), output.size, output.blocked) == (0, 0, False)


@pytest.mark.parametrize(
    "refusal", [BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError]
)
def test_a_socket_that_takes_no_more_is_no_error(refusal: type[OSError]) -> None:
    output = Output(10, plain=False)
    fill(output, b"0123456789", b"more")
    sock = Socket(4, refusal=refusal)
    assert (flush(output, sock), output.size, output.blocked) == (4, 10, True)
    # TLS must be offered the same bytes again.
    sock.turns = [1 << 20] * 2
    assert (flush(output, sock), output.size, output.blocked) == (10, 0, False)
    assert sock.got == b"0123456789more"


def test_a_flush_stops_where_it_is_told_to_though_the_socket_takes_more(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, file: int
) -> None:
    output = Output(1000, plain=False)
    fill(output, b"x" * 100)
    sock = Socket(*[10] * 100)
    assert (flush(output, sock, 25), output.size, output.blocked) == (30, 70, False)
    assert (flush(output, sock), output.size, output.blocked) == (70, 0, False)
    # A file is sent in pieces, too, so that the bound is kept about as well.
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    with output.lock:
        output.append_file(FileSlice(file, 0, 1000))
        output._plain = True
    assert (flush(output, pair[0], 150), output.size, output.blocked) == (200, 800, False)
    output.fail()


def test_an_error_of_the_socket_is_passed_on_and_what_left_is_counted() -> None:
    class Broken(Socket):
        def send(self, data: Any) -> int:
            if not self.turns:
                raise ConnectionResetError
            return super().send(data)

    output = Output(10, plain=False)
    fill(output, b"0123456789")
    with pytest.raises(ConnectionResetError):
        flush(output, Broken(4))
    assert output.size == 6


def test_what_a_client_will_never_read_is_released(file: int) -> None:
    before = descriptors()
    output = Output(10, plain=True)
    fill(output, b"x" * 5, b"y" * 500)
    with output.lock:
        output.append_file(FileSlice(file, 0, 10))
    assert descriptors() > before
    output.fail()
    output.fail()
    assert (output.failed, output.size, descriptors()) == (True, 0, before)


@pytest.mark.parametrize("wake", [lambda output: flush(output, Socket(100)), Output.fail])
def test_who_waits_for_room_is_woken_when_bytes_leave_or_the_client_does(
    wake: Callable[[Output], object],
) -> None:
    output = Output(1000, plain=False)
    fill(output, b"x" * 10)
    waits, woken = threading.Event(), threading.Event()

    def wait() -> None:
        with output.lock:
            waits.set()
            if output.changed.wait(10):
                woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(10)
    wake(output)
    thread.join(10)
    assert woken.is_set()


def test_a_slow_reader_of_an_endless_response_holds_no_more_disk_than_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SEGMENT", 1000)
    before = descriptors()
    output = Output(0, plain=False)
    sock = Socket()
    most = 0
    for _ in range(100):
        # Never empty, so the last file is never done with.
        fill(output, b"x" * 100)
        sock.turns = [100] if output.size > 500 else []
        flush(output, sock)
        most = max(most, sum(item.size for item in output._items if isinstance(item, module._Spill)))
    assert most <= 500 + 2 * 1100
    assert len(output._items) <= 2
    output.fail()
    assert descriptors() == before


def test_sent_memory_is_given_back() -> None:
    output = Output(1 << 20, plain=False)
    for _ in range(200):
        fill(output, b"x" * 10_000)
        flush(output, Socket(10_000 if output.size > 10_000 else 9_999))
        item = output._items[0]
        assert isinstance(item, module._Memory)
        assert len(item._buffer) <= 3 * 10_000


def test_a_disk_without_descriptors_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()

    def dup(_: int) -> int:
        raise OSError("Too many open files")

    output = Output(0, plain=True)
    monkeypatch.setattr(os, "dup", dup)
    with pytest.raises(OSError, match="Too many"):
        fill(output, b"x")
    assert (descriptors(), output.size) == (before, 0)


def test_a_file_that_takes_less_than_all_is_written_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tempfile.TemporaryFile

    class Short:
        def __init__(self, **options: Any) -> None:
            self.file = real(**options)
            self.fileno, self.seek, self.close = self.file.fileno, self.file.seek, self.file.close

        def write(self, data: memoryview) -> int:
            return int(self.file.write(data[:7]))

    monkeypatch.setattr(tempfile, "TemporaryFile", Short)
    output = Output(0, plain=False)
    fill(output, bytes(range(100)))
    sock = Socket(1000)
    flush(output, sock)
    assert sock.got == bytes(range(100))
