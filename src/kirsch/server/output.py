"""What a socket would not take yet: bytes in memory, then in a temporary file, and slices of files to send.

A slow reader holds a connection and this buffer, never a thread, as long as the buffer has room. It is filled by the thread
that produces the response and emptied by the leader.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    import socket

__all__ = ["FileSlice", "Output"]

_BLOCK = 262144
"""Bytes read from a file at a time where sendfile does not serve: TLS, and systems without it."""

_HAS_SENDFILE = hasattr(os, "sendfile")


class _Item(Protocol):
    left: int
    """Bytes not sent yet."""

    def send(self, sock: socket.socket, *, plain: bool) -> None:
        """Send what the socket takes; raises BlockingIOError or returns with `left` above 0 when it takes no more."""

    def close(self) -> None:
        """Release what the item holds."""


class _Memory:
    """Bytes in memory: one buffer, so that a million small writes cost a million bytes and not as many objects."""

    __slots__ = ("_buffer", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    @property
    def left(self) -> int:
        return len(self._buffer) - self._start

    def write(self, data: bytes | memoryview) -> None:
        self._buffer += data

    def send(self, sock: socket.socket, *, plain: bool) -> None:  # noqa: ARG002  one shape for all items
        with memoryview(self._buffer) as whole, whole[self._start :] as view:
            self._start += sock.send(view)
        if self._start * 2 > len(self._buffer):
            del self._buffer[: self._start]
            self._start = 0

    def close(self) -> None:
        self._buffer.clear()
        self._start = 0


class FileSlice:
    """Part of a regular file. Holds a descriptor of its own, so that whoever opened the file may close it.

    Parameters:
        descriptor: of the file; duplicated.
        offset: first byte to send.
        length: bytes to send.
    """

    __slots__ = ("_descriptor", "_pending", "left", "offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self._descriptor = os.dup(descriptor)
        self.offset = offset
        self.left = length
        self._pending = b""

    def send(self, sock: socket.socket, *, plain: bool) -> None:
        """Send what the socket takes.

        Parameters:
            plain: whether the file may go to the socket without passing through this process (no TLS).

        Raises BlockingIOError when the socket takes no more, OSError when the file was cut short meanwhile.
        """
        while self.left:
            sent = self._sendfile(sock) if plain and _HAS_SENDFILE else self._copy(sock)
            if sent == 0:
                raise OSError("The file became shorter while it was sent.")
            self.offset += sent
            self.left -= sent

    def _sendfile(self, sock: socket.socket) -> int:
        return os.sendfile(sock.fileno(), self._descriptor, self.offset, self.left)

    def _copy(self, sock: socket.socket) -> int:
        # TLS must be offered the same bytes again after it refused them, so what was read is kept until it is sent.
        if not self._pending:
            os.lseek(self._descriptor, self.offset, os.SEEK_SET)
            self._pending = os.read(self._descriptor, min(_BLOCK, self.left))
            if not self._pending:
                return 0
        sent = sock.send(self._pending)
        self._pending = self._pending[sent:]
        return sent

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Spill:
    """Bytes past the memory limit: a temporary file, written at its end and sent from its start."""

    __slots__ = ("_file", "_size", "_slice")

    def __init__(self) -> None:
        self._file = cast("BinaryIO", tempfile.TemporaryFile(prefix="kirsch-response-", buffering=0))  # noqa: SIM115  closed by close()
        self._size = 0
        self._slice = FileSlice(self._file.fileno(), 0, 0)

    def write(self, data: bytes | memoryview) -> None:
        # The slice shares the file's position with us when it copies, so the end is sought every time.
        self._file.seek(self._size)
        self._file.write(data)
        self._size += len(data)
        self._slice.left += len(data)

    def send(self, sock: socket.socket, *, plain: bool) -> None:
        self._slice.send(sock, plain=plain)

    @property
    def left(self) -> int:
        return self._slice.left

    def close(self) -> None:
        self._slice.close()
        self._file.close()


class Output:
    """The bytes of a connection that wait for its socket.

    `lock` guards everything here, and the socket's sending side while an `Output` exists: the thread that produces and
    the leader that flushes both send. Nothing but `send` is called while it is held, and that never blocks.

    Parameters:
        memory: bytes kept in memory; more goes to a file.
        plain: whether the socket is plain, so that files may be sent by the system.
    """

    __slots__ = ("_items", "_memory", "_plain", "changed", "failed", "lock", "size")

    def __init__(self, memory: int, *, plain: bool) -> None:
        self._items: deque[_Item] = deque()
        self._memory = memory
        self._plain = plain
        self.size = 0
        """Bytes that wait, in memory and file."""
        self.failed = False
        """Whether the client is gone; what waits will never be sent."""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        """Signalled when bytes left or the client is gone."""

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end. Call with `lock` held."""
        kind = _Memory if self.size + len(data) <= self._memory else _Spill
        last = self._items[-1] if self._items else None
        # Once a file is begun it takes what follows until it is sent: the order of the bytes is the order of the items.
        if not isinstance(last, _Spill) and not (kind is _Memory and isinstance(last, _Memory)):
            last = kind()
            self._items.append(last)
        last.write(data)
        self.size += len(data)

    def append_file(self, piece: FileSlice) -> None:
        """Add part of a file at the end; it is closed when sent or given up. Call with `lock` held."""
        self._items.append(piece)
        self.size += piece.left

    def flush(self, sock: socket.socket) -> int:
        """Send what the socket takes and return the number of bytes. Call with `lock` held.

        Raises OSError when the connection is broken. A socket that takes no more is no error.
        """
        before = self.size
        while self._items:
            item = self._items[0]
            left = item.left
            try:
                item.send(sock, plain=self._plain)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                break
            finally:
                self.size -= left - item.left
            if item.left == 0:
                self._items.popleft()
                item.close()
        if self.size != before:
            self.changed.notify_all()
        return before - self.size

    def fail(self) -> None:
        """Give everything up: the client is gone. Wakes whoever waits for room."""
        with self.lock:
            self.failed = True
            while self._items:
                self._items.popleft().close()
            self.size = 0
            self.changed.notify_all()
