"""Listening sockets: TCP on IPv4 and IPv6, Unix sockets, inherited descriptors.

Binds first and reports what went wrong.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kirsch.config import parse_bind
from kirsch.server.errors import BindError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kirsch.config import Bind

__all__ = ["Listener", "open_listeners"]

_MISSING = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What a system says that lacks an address, or a whole family of them."""

_PORT_TRIES = 8
"""Times a free port is asked for that must be free on several addresses."""

_SO_ATTACH_FILTER = 26
"""Linux, asm-generic/socket.h; Python has no name for it."""

# A classic BPF program (socket(7)) of (code, jump if true, jump if false, operand): load byte 13 of the TCP
# header, its flags (RFC 9293 section 3.1); with SYN set, drop; else take all.
_NO_SYN = array(
    "B",
    b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
    ),
)


class Listener:
    """One listening socket, non-blocking.

    Parameters:
        sock: the socket, bound and listening.
        path: of the Unix socket this process made and will remove; "" for none.
        shared: whether other processes may listen on the same socket.
    """

    def __init__(self, sock: socket.socket, path: str = "", *, shared: bool = False) -> None:
        self.sock = sock
        self._shared = shared
        self.path = path
        self._inode = _inode(path) if path else None
        self.is_tcp = sock.family in {socket.AF_INET, socket.AF_INET6}
        # Read now: it is asked for while the server stops, too, when the socket may be closed.
        self.address = _address(sock)
        """Host and real port, also when port 0 was asked for; the path (`@NAME` in the abstract namespace)
        and 0 for a Unix socket."""

    def url(self, scheme: str) -> str:
        """Return where a person finds it, such as `http://127.0.0.1:8080`.

        Parameters:
            scheme: `http` or `https`. A Unix socket has `unix:PATH` with either.
        """
        host, port = self.address
        if not self.is_tcp:
            return f"unix:{host}"
        default = 443 if scheme == "https" else 80
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}" if port == default else f"{scheme}://{shown}:{port}"

    def turn_away(self) -> None:
        """Have the system ignore who wants to connect from now on, where it can, so that the last ones can be
        accepted and the socket closed with nobody in its queue: the system resets who is.

        Those who are ignored try again after a second, and are refused then. Linux; TCP; a socket of its own.
        """
        if sys.platform == "linux" and self.is_tcp and not self._shared:
            address, _ = _NO_SYN.buffer_info()
            with contextlib.suppress(OSError):
                program = struct.pack("HP", len(_NO_SYN) // 8, address)
                self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def close(self) -> None:
        """Close the socket; remove its path if it is still the one this process made."""
        self.sock.close()
        if self.path and _inode(self.path) == self._inode:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()


def _address(sock: socket.socket) -> tuple[str, int]:
    name = sock.getsockname()
    if isinstance(name, tuple):
        return name[0], name[1]
    # Python gives names of the abstract namespace as bytes, with the NUL they begin with.
    return (f"@{os.fsdecode(name[1:])}" if isinstance(name, bytes) else name), 0


def open_listeners(binds: tuple[str, ...], *, backlog: int, unix_mode: int) -> list[Listener]:
    """Open every address in `binds`, or none.

    Parameters:
        binds: addresses as `server.bind` writes them.
        backlog: connections the system may hold for each.
        unix_mode: permission bits of Unix sockets.

    Raises BindError for the first one that cannot be listened on, after closing the others.
    """
    listeners: list[Listener] = []
    parsed = [parse_bind(text) for text in binds]
    any_v4 = "0.0.0.0"  # noqa: S104  compared, not bound
    taken = frozenset(bind.port for bind in parsed if bind.kind == "tcp" and bind.host == any_v4)
    try:
        for bind, text in zip(parsed, binds, strict=True):
            listeners.extend(_open(bind, text, backlog, unix_mode, dual=bind.port not in taken))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _open(bind: Bind, text: str, backlog: int, unix_mode: int, *, dual: bool) -> list[Listener]:
    try:
        if bind.kind == "fd":
            return [_inherited(bind.descriptor, backlog)]
        if bind.kind == "unix":
            return [_unix(bind.path, backlog, unix_mode)]
        return _tcp(bind.host, bind.port, backlog, dual=dual)
    except OSError as error:
        raise BindError(f"Cannot listen on {text}: {_explain(error)}") from error


def _explain(error: OSError) -> str:
    """Return the cause in words, with what to try."""
    advice = {
        errno.EADDRINUSE: (
            "the address is in use by another program. Stop it, or choose another (port 0 finds a free port)."
        ),
        errno.EACCES: (
            "permission denied. Ports below 1024 need the right to bind them, a Unix socket a folder that can"
            " be written to."
        ),
        errno.EADDRNOTAVAIL: "this machine has no such address. Use 127.0.0.1, 0.0.0.0 or one of its own.",
        errno.ENOENT: "the folder of the socket does not exist.",
        errno.EBADF: "no such socket is open. It must be a listening one that the parent process passed on.",
    }
    if isinstance(error, socket.gaierror):
        return "the host name does not resolve to an address."
    return advice.get(error.errno or 0, error.strerror or str(error))


def _tcp(host: str, port: int, backlog: int, *, dual: bool) -> list[Listener]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name such as "localhost" may stand for an IPv6 and an IPv4 address: both are listened on, on one port.
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(_PORT_TRIES):
        try:
            return _bound_all(addresses, backlog, dual=dual)
        except OSError as error:
            # A port that was free for one address may be in use on another.
            if port or len(addresses) == 1 or error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, "no port is free on all addresses of that name.")


def _bound_all(addresses: Sequence[tuple[int, Any]], backlog: int, *, dual: bool) -> list[Listener]:
    """Listen on all addresses that this machine has, on the port of the first; at least on one."""
    listeners: list[Listener] = []
    failure: OSError | None = None
    for family, address in addresses:
        port = address[1] or (listeners[0].address[1] if listeners else 0)
        wanted = (address[0], port, *address[2:])
        try:
            listeners.append(Listener(_bound(family, wanted, backlog, dual=dual)))
        except OSError as error:
            failure = error
            if error.errno not in _MISSING:
                break
    if failure is not None and (not listeners or failure.errno not in _MISSING):
        for listener in listeners:
            listener.close()
        raise failure
    return listeners


def _bound(family: int, address: tuple[Any, ...], backlog: int, *, dual: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Without it a second program could take the port over.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Skips the wait after a restart.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" also takes IPv4, as in Go and Node.js, unless 0.0.0.0 is listened on by itself.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::" or not dual))
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)  # noqa: FBT003  the socket's own signature
    except BaseException:
        sock.close()
        raise
    return sock


def _unix(path: str, backlog: int, mode: int) -> Listener:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets.")
    if path.startswith("@"):
        return Listener(_listening("\0" + path[1:], backlog))
    _remove_stale(path)
    # Nobody may connect between bind and chmod, so the umask does the first part.
    before = os.umask(0o777 & ~mode)
    try:
        sock = _listening(path, backlog)
    finally:
        os.umask(before)
    listener = Listener(sock, path)
    try:
        Path(path).chmod(mode)
    except BaseException:
        listener.close()
        raise
    return listener


def _listening(name: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(name)
        sock.listen(backlog)
        sock.setblocking(False)  # noqa: FBT003  the socket's own signature
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket nobody listens on any more. Anything else at `path` is an error, never removed."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, "there is a file of that name. Remove it or choose another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003  the socket's own signature
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            # Somebody listens, with so many waiting already that one more would have to wait.
            pass
    raise OSError(errno.EADDRINUSE, "in use")


def _inherited(descriptor: int, backlog: int) -> Listener:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise OSError(errno.EBADF, "not a socket")
    # A copy, so that stopping leaves the parent's socket as it was, for whoever serves next.
    copy = os.dup(descriptor)
    try:
        sock = socket.socket(fileno=copy)
    except BaseException:
        os.close(copy)
        raise
    try:
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.listen(backlog)
        sock.setblocking(False)  # noqa: FBT003  the socket's own signature
        return Listener(sock, shared=True)
    except BaseException:
        sock.close()
        raise


def _inode(path: str) -> tuple[int, int] | None:
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
