"""What a socket would not take yet: bytes in memory, then in a temporary file, and slices of files to send.

A slow reader holds a connection and this buffer, never a thread, as long as the buffer has room. It is filled
by the thread that produces the response and emptied by the leader.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
import threading
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    import socket

__all__ = ["WOULD_BLOCK", "FileSlice", "Output"]

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket raises that can do nothing now; all of them are OSErrors, so they are caught first."""

_BLOCK = 262144
"""Bytes read from a file at a time where sendfile does not serve: TLS, and systems without it."""

_AT_ONCE = 4194304
"""Bytes of one file sent before somebody else has a turn. A reader as fast as the server would else keep the
leader for as long as the file lasts."""

_SEGMENT = 16777216
"""Bytes after which a temporary file is followed by another, so that what a slow reader has taken already
does not stay on the disk until the end of the response."""

_HAS_SENDFILE = hasattr(os, "sendfile")


class _Item(Protocol):
    @property
    def left(self) -> int:
        """Bytes not sent yet."""

    def send(self, sock: socket.socket, *, plain: bool) -> None:
        """Send some bytes; raises BlockingIOError when the socket takes none."""

    def close(self) -> None:
        """Release what the item holds."""


class _Memory:
    """Bytes in memory: one buffer, so that a million small writes cost a million bytes, not as many
    objects.
    """

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

    __slots__ = ("_begun", "_descriptor", "_pending", "left", "offset")

    def __init__(self, descriptor: int, offset: int, length: int) -> None:
        self._descriptor = os.dup(descriptor)
        self.offset = offset
        self.left = length
        # A block that was read, and how much of it is sent.
        self._pending = b""
        self._begun = 0

    def send(self, sock: socket.socket, *, plain: bool) -> None:
        """Send some of the bytes.

        Parameters:
            sock: where to.
            plain: whether the file may go to the socket without passing through this process (no TLS).

        Raises BlockingIOError when the socket takes none, OSError when the file was cut short meanwhile.
        """
        if not self.left:
            return
        sent = self._sendfile(sock) if plain and _HAS_SENDFILE else self._copy(sock)
        if sent == 0:
            raise OSError("The file became shorter while it was sent.")
        self.offset += sent
        self.left -= sent

    def _sendfile(self, sock: socket.socket) -> int:
        return os.sendfile(sock.fileno(), self._descriptor, self.offset, min(self.left, _AT_ONCE))

    def _copy(self, sock: socket.socket) -> int:
        # TLS must be offered the same bytes again after it refused them, so what was read is kept until it is
        # sent.
        if not self._pending:
            os.lseek(self._descriptor, self.offset, os.SEEK_SET)
            self._pending = os.read(self._descriptor, min(_BLOCK, self.left))
            if not self._pending:
                return 0
        with memoryview(self._pending)[self._begun :] as view:
            sent = sock.send(view)
        self._begun += sent
        if self._begun == len(self._pending):
            self._pending, self._begun = b"", 0
        return sent

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Spill:
    """Bytes past the memory limit: a temporary file, written at its end and sent from its start."""

    __slots__ = ("_file", "_slice", "size")

    def __init__(self) -> None:
        spill = tempfile.TemporaryFile(prefix="kirsch-response-", buffering=0)  # noqa: SIM115  `close` does
        self._file = cast("BinaryIO", spill)
        self.size = 0
        try:
            self._slice = FileSlice(self._file.fileno(), 0, 0)
        except OSError:
            self._file.close()
            raise

    def write(self, data: bytes | memoryview) -> None:
        # The slice shares the file's position with us when it copies, so the end is sought every time.
        self._file.seek(self.size)
        view = memoryview(data)
        while view:
            # An unbuffered file may take less than all.
            view = view[self._file.write(view) :]
        self.size += len(data)
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

    `lock` guards everything here, and the socket's sending side while an `Output` exists: the thread that
    produces and the leader that flushes both send. Only `send` and the writing of a temporary file happen
    while it is held; the first never blocks, the second no longer than a disk does.

    Parameters:
        memory: bytes kept in memory; more goes to a file.
        plain: whether the socket is plain, so that files may be sent by the system.
    """

    __slots__ = ("_items", "_memory", "_plain", "blocked", "changed", "failed", "lock", "size")

    def __init__(self, memory: int, *, plain: bool) -> None:
        self._items: deque[_Item] = deque()
        self._memory = memory
        self._plain = plain
        self.size = 0
        """Bytes that wait, in memory and file."""
        self.blocked = False
        """Whether the last flush ended because the socket took no more; it says so itself when it does
        again."""
        self.failed = False
        """Whether the client is gone; what waits will never be sent."""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        """Signalled when bytes left or the client is gone."""

    def append(self, data: bytes | memoryview) -> None:
        """Add bytes at the end. Call with `lock` held."""
        if not data:
            return
        fits = self.size + len(data) <= self._memory
        last = self._items[-1] if self._items else None
        # What follows a file goes into it until it is sent: the order of the bytes is the order of the items.
        if (isinstance(last, _Spill) and last.size < _SEGMENT) or (isinstance(last, _Memory) and fits):
            last.write(data)
        else:
            item = _Memory() if fits else _Spill()
            self._items.append(item)
            item.write(data)
        self.size += len(data)

    def append_file(self, piece: FileSlice) -> None:
        """Add part of a file at the end; it is closed when sent or given up. Call with `lock` held."""
        self._items.append(piece)
        self.size += piece.left

    def flush(self, sock: socket.socket, most: int = sys.maxsize) -> int:
        """Send what the socket takes and return the number of bytes. Call with `lock` held.

        Parameters:
            sock: the connection's socket.
            most: bytes after which to stop though the socket takes more. `size` is above 0 and `blocked` is
                False then, and no poller tells again: the caller comes back by itself.

        Raises OSError when the connection is broken. A socket that takes no more is no error.
        """
        before = self.size
        self.blocked = False
        while self._items and before - self.size < most:
            item = self._items[0]
            left = item.left
            try:
                item.send(sock, plain=self._plain)
            except WOULD_BLOCK:
                self.blocked = True
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
