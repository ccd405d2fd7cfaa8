"""A file with the process id: tells others whom to signal, and keeps a second copy from starting.

The lock on the file decides whether its writer lives, not the number in it: a lock ends with its process,
whatever ends it, while numbers are given out again.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kirsch.bus.plugins import Plugin

if TYPE_CHECKING:
    from kirsch.bus.bus import Bus

__all__ = ["PIDFile", "PIDFileError"]

MODE = 0o644
"""Anybody may read whom to signal; only the owner may change it. The umask may take away more."""

_CONTENT = 64
"""Bytes read of a file that is there: more than any process id has."""

_LOCK_AT = 1 << 30
"""Byte that is locked on Windows, where a locked byte cannot be read by others: far behind the number."""


class PIDFileError(RuntimeError):
    """The pid file is another process's, or no pid file at all."""


class PIDFile(Plugin):
    """Writes the process id to a file when the bus starts and removes the file when it exits.

    Parameters:
        bus: the bus.
        path: of the file. Its directory must exist.
    """

    def __init__(self, bus: Bus, path: str | os.PathLike[str]) -> None:
        super().__init__(bus)
        # Absolute from the beginning: a daemon may change its directory before it exits.
        self.path = Path(path).absolute()
        """Where the file is."""
        self._fd: int | None = None
        """The locked file while it is ours. Owned by the thread that runs the transition of the bus."""

    def start(self) -> None:
        """Take the file and write the process id into it. Nothing happens when it is ours already.

        A file whose writer has died is taken over. Raises PIDFileError when another process holds it or it
        holds something else than a number, OSError when it cannot be written.
        """
        if self._fd is not None:
            return
        fd = self._open()
        try:
            old = self._predecessor(fd)
            _write(fd, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        taken_over = f", taken over from process {old.decode()}, which has ended" if old else ""
        self.bus.log(f"PID {os.getpid()} written to {str(self.path)!r}{taken_over}")

    start.priority = 70  # type: ignore[attr-defined]  # read by Bus.subscribe: after daemonising

    def exit(self) -> None:
        """Remove the file if it is still the one we wrote; never another process's."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        try:
            # A forked child has the descriptor, and the lock with it, but the file is its parent's.
            ours = _read(fd) == str(os.getpid()).encode() and _same(fd, self.path)
            if ours and os.name == "posix":
                # While the lock is held: nobody else can take over in between.
                self.path.unlink()
        finally:
            os.close(fd)
        if ours:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()  # Windows removes no open file
            self.bus.log(f"PID file removed: {str(self.path)!r}")

    def _predecessor(self, fd: int) -> bytes:
        """Return the number a process that has ended left in the file, empty if there is none."""
        old = _read(fd)
        if old and not old.isdigit():
            raise PIDFileError(
                f"{self.path} is not a pid file: it holds {old[:20]!r}; name another path or remove it"
            )
        return old

    def _open(self) -> int:
        """Return a descriptor of the file at the path, locked."""
        # O_NOFOLLOW: whoever may write to a shared directory must not make us overwrite what a link points
        # to.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        while True:
            fd = os.open(self.path, flags, MODE)
            try:
                _lock(fd)
            except OSError as error:
                holder = _read(fd).decode("ascii", "replace") or "unknown"
                os.close(fd)
                raise PIDFileError(
                    f"{self.path} belongs to a running process ({holder}): stop that one first, or name "
                    "another path"
                ) from error
            if _same(fd, self.path):
                return fd
            os.close(fd)  # its owner removed it between our opening and our locking it


def _read(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, _CONTENT).strip()


def _write(fd: int, content: bytes) -> None:
    os.lseek(fd, 0, os.SEEK_SET)
    os.ftruncate(fd, 0)
    os.write(fd, content)


def _same(fd: int, path: Path) -> bool:
    """Return whether `path` leads to the open file."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _lock(fd: int) -> None:
    """Lock the file for this process without waiting; OSError when another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        os.lseek(fd, _LOCK_AT, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]  # Windows only
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
