"""Listening sockets: TCP on IPv4 and IPv6, Unix sockets, inherited descriptors. Binds first and reports what went wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from typing import TYPE_CHECKING

from kirsch.config import parse_bind
from kirsch.server.errors import BindError

if TYPE_CHECKING:
    from kirsch.config import Bind

__all__ = ["Listener", "open_listeners"]


class Listener:
    """One listening socket, non-blocking.

    Parameters:
        sock: the socket, bound and listening.
        path: of the Unix socket this process made and will remove; "" for none.
    """

    def __init__(self, sock: socket.socket, path: str = "") -> None:
        self.sock = sock
        self.path = path
        self._inode = _inode(path) if path else None
        self.is_tcp = sock.family in {socket.AF_INET, socket.AF_INET6}

    @property
    def address(self) -> tuple[str, int]:
        """Host and real port, also when port 0 was asked for; the path and 0 for a Unix socket."""
        name = self.sock.getsockname()
        if self.is_tcp:
            return name[0], name[1]
        return (name.decode() if isinstance(name, bytes) else name), 0

    def url(self, scheme: str) -> str:
        """Return where a person finds it, such as `http://127.0.0.1:8080`; `unix:PATH` for a Unix socket."""
        host, port = self.address
        if not self.is_tcp:
            return f"unix:{host}"
        default = 443 if scheme == "https" else 80
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}" if port == default else f"{scheme}://{shown}:{port}"

    def close(self) -> None:
        """Close the socket; remove its path if it is still the one this process made."""
        self.sock.close()
        if self.path and _inode(self.path) == self._inode:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def open_listeners(binds: tuple[str, ...], *, backlog: int, unix_mode: int) -> list[Listener]:
    """Open every address in `binds`, or none.

    Parameters:
        binds: addresses as `server.bind` writes them.
        backlog: connections the system may hold for each.
        unix_mode: permission bits of Unix sockets.

    Raises BindError for the first one that cannot be listened on, after closing the others.
    """
    listeners: list[Listener] = []
    try:
        for text in binds:
            listeners.extend(_open(parse_bind(text), text, backlog, unix_mode))
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _open(bind: Bind, text: str, backlog: int, unix_mode: int) -> list[Listener]:
    try:
        if bind.kind == "fd":
            return [_inherited(bind.descriptor, backlog)]
        if bind.kind == "unix":
            return [_unix(bind.path, backlog, unix_mode)]
        return _tcp(bind.host, bind.port, backlog)
    except OSError as error:
        raise BindError(f"Cannot listen on {text}: {_explain(error)}") from error


def _explain(error: OSError) -> str:
    """Return the cause in words, with what to try."""
    advice = {
        errno.EADDRINUSE: "the address is in use by another program. Stop it, or choose another port (port 0 finds a free one).",
        errno.EACCES: "permission denied. Ports below 1024 need the right to bind them; otherwise choose a higher one.",
        errno.EADDRNOTAVAIL: "this machine has no such address. Use 127.0.0.1, 0.0.0.0 or one of its own.",
        errno.ENOENT: "the folder of the socket does not exist.",
        errno.EBADF: "no such descriptor is open. It must be a listening socket that the parent process passed on.",
    }
    if isinstance(error, socket.gaierror):
        return "the host name does not resolve to an address."
    return advice.get(error.errno or 0, error.strerror or str(error))


def _tcp(host: str, port: int, backlog: int) -> list[Listener]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name such as "localhost" may stand for an IPv6 and an IPv4 address: both are listened on, on one port.
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    listeners: list[Listener] = []
    failure: OSError | None = None
    for family, address in addresses:
        wanted = (address[0], listeners[0].address[1] if listeners and not port else address[1], *address[2:])
        try:
            listeners.append(Listener(_bound(family, wanted, backlog)))
        except OSError as error:
            failure = error
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                break
    if failure is not None and (not listeners or failure.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}):
        for listener in listeners:
            listener.close()
        raise failure
    return listeners


def _bound(family: int, address: tuple[object, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            # There it would let a second program steal the port; elsewhere it only skips the wait after a restart.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" alone also takes IPv4 where the system lets it, as nginx and Go do; any other address cannot.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _unix(path: str, backlog: int, mode: int) -> Listener:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets.")
    abstract = path.startswith("@")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not abstract:
            _remove_stale(path)
            # Nobody may connect between bind and chmod, so the umask does the first part.
            before = os.umask(0o777 & ~mode)
            try:
                sock.bind(path)
            finally:
                os.umask(before)
            os.chmod(path, mode)
        else:
            sock.bind("\0" + path[1:])
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, "" if abstract else path)


def _remove_stale(path: str) -> None:
    """Remove a socket nobody listens on any more. Anything else at `path` is an error, never removed."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, "there is a file of that name which is no socket. Remove it or choose another path.")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        raise OSError(errno.EADDRINUSE, "in use") from None
    else:
        raise OSError(errno.EADDRINUSE, "in use")
    finally:
        probe.close()


def _inherited(descriptor: int, backlog: int) -> Listener:
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        sock = socket.socket(fileno=os.dup(descriptor))
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.listen(backlog)
        sock.setblocking(False)
        return Listener(sock)
    raise OSError(errno.EBADF, "not a socket")


def _inode(path: str) -> tuple[int, int] | None:
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
