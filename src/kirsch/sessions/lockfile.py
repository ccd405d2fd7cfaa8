"""Lock files: one per lock, held by the operating system's lock on it, and gone when nobody needs it.

A lock file is removed by its holder while it is locked. Whoever opened it meanwhile gets the lock of a file
that has no name any more, notices, and begins again; so two can never hold the same name.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LockFile"]

_MODE = 0o600

if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _let_go(fd: int, path: Path, *, remove: bool) -> None:
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)
        os.close(fd)
        if remove:
            # Windows refuses while anybody has it open, so what is removed here nobody waits for.
            with suppress(OSError):
                path.unlink()

    def _is_named(fd: int, path: Path) -> bool:
        del fd, path
        return True  # what is open cannot be removed

else:
    import fcntl

    def _lock(fd: int) -> bool:
        # flock, not lockf: it belongs to the opened file, so two threads of one process exclude each other.
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go(fd: int, path: Path, *, remove: bool) -> None:
        if remove:
            with suppress(FileNotFoundError):
                path.unlink()
        os.close(fd)

    def _is_named(fd: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), path.stat())
        except FileNotFoundError:
            return False


class LockFile:
    """A lock by a file, among processes and among the threads of one.

    Parameters:
        path: the file. Its folder must be there.
        remove: whether the file is removed when the lock is given back.

    Owned by one thread at a time.
    """

    __slots__ = ("_fd", "_path", "_remove")

    def __init__(self, path: Path, *, remove: bool = True) -> None:
        self._path = path
        self._remove = remove
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Return whether it was. Raises OSError when the file cannot be made."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), _MODE)
        except PermissionError:
            if sys.platform == "win32":
                return False  # it is being removed
            raise
        taken = False
        try:
            taken = _lock(fd) and _is_named(fd, self._path)
        finally:
            if not taken:
                os.close(fd)
        if taken:
            self._fd = fd
        return taken

    def release(self) -> None:
        """Give the lock back. The second time nothing happens."""
        fd, self._fd = self._fd, None
        if fd is not None:
            _let_go(fd, self._path, remove=self._remove)
