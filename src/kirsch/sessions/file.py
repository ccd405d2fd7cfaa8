"""Sessions in files, shared by the processes of one machine.

Each session is one file. Its name is a hash of the id, it is readable by its owner alone, and it is replaced
as a whole: readers see it before a change or after. The time a session expires is the file's time of
modification too, so that expired ones are found without reading them.

    FOLDER/3f/9a...e1.session     a session
    FOLDER/3f/9a...e1.lock        its lock, while somebody holds it
    FOLDER/3f/.guard              makes a look and a change one step; kept
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kirsch.sessions.lockfile import LockFile
from kirsch.sessions.locks import LocalLocks, SharedLock, wait_for
from kirsch.sessions.store import EncodedStore, Record, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.sessions.locks import Lock
    from kirsch.sessions.serial import Serializer

__all__ = ["FileStore"]

_FOLDERS: Final = 256
"""Folders the sessions are spread over, by the first byte of their names: each is swept on its own, so that
no request pays for all of them."""

_LEFT_BEHIND_S: Final = 3600
"""Age of a lock file or an unfinished file that its process has left behind."""

_GUARD_TIMEOUT_S: Final = 5.0
"""Seconds to wait for a folder's guard, which is held for a look and a change."""

_REPLACE_TRIES: Final = 20
"""Attempts, 5 ms apart, to replace a file that somebody reads; Windows alone."""


class FileStore(EncodedStore):
    """Sessions in files.

    Parameters:
        storage_path: the folder. Made with mode 0700 if it is not there.
        serializer: as `EncodedStore`.
        clock: as `Store`.

    Raises ValueError for a folder that everybody may write to: who can put files there can put sessions.
    """

    def __init__(
        self,
        storage_path: str | os.PathLike[str],
        *,
        serializer: str | Serializer = "msgpack",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(serializer=serializer, clock=clock)
        self.folder = Path(storage_path).expanduser().resolve()
        """The folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and self.folder.stat().st_mode & stat.S_IWOTH:
            raise ValueError(
                f"{self.folder} may be written to by everybody, and who writes there can make sessions; "
                f"use a folder of its own, such as {self.folder / 'sessions'}"
            )
        self._guards = LocalLocks()
        self._next = 0

    # --- the contract ---

    def load(self, session_id: str) -> Record | None:
        """See `Store`. A file that cannot be read as a session is removed, and logged."""
        path = self._path(self.key(session_id))
        with reach(OSError):
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                return None
            try:
                return self._read(raw, path.name)
            except ValueError:
                path.unlink(missing_ok=True)
                return None

    def save(self, session_id: str, record: Record, replaces: Record | None = None) -> bool:
        """See `Store`."""
        raw = self.encode(record)
        path = self._path(self.key(session_id))
        if replaces is not None and raw == replaces.raw:
            return path.exists()
        if replaces is None:
            with reach(OSError):
                self._make_folder(path.parent)
                self._write(path, raw, record.expires)
            return True
        if not path.parent.exists():
            return False
        with reach(OSError):
            guard = self._guard(path.parent)
            try:
                found = path.exists()
                if found:
                    self._write(path, raw, record.expires)
            finally:
                guard.release()
        return found

    def delete(self, session_id: str) -> bool:
        """See `Store`."""
        return self._remove(self._path(self.key(session_id)))

    def lock(self, session_id: str, timeout: float, waiters: int | None = None) -> Lock:
        """See `Store`. Held until it is given back or the process ends."""
        key = self.key(session_id)
        path = self._path(key, ".lock")
        deadline = time.monotonic() + timeout
        local = self._local.acquire(key, timeout, waiters)
        try:
            with reach(OSError):
                self._make_folder(path.parent)
                file = LockFile(path)
                wait_for(file.try_acquire, deadline)
        except BaseException:
            local.release()
            raise
        return SharedLock(local, file.release)

    def sweep(self) -> int:
        """See `Store`. Goes through all files; `tidy` does it folder by folder."""
        return sum(self._sweep(folder) for folder in self._folders())

    def tidy(self, every: float) -> None:
        """See `Store`. Sweeps one of the folders, and all of them in `every` seconds."""
        now = self.clock()
        if now >= self.tidy_at:
            self.tidy_at = now + every / _FOLDERS
            turn, self._next = self._next, (self._next + 1) % _FOLDERS
            folder = self.folder / f"{turn:02x}"
            if folder.is_dir():
                self._sweep(folder)

    def count(self) -> int:
        """See `Store`. Looks at every file."""
        now = self.clock()
        return sum(_expires(path) > now for path in self._sessions())

    def delete_user(self, user: str, keep: str | None = None) -> int:
        """See `Store`. Reads every session."""
        kept = None if keep is None else self._path(self.key(keep))
        removed = 0
        for path in self._sessions():
            if path == kept:
                continue
            try:
                record = self.decode(path.read_bytes())
            except (OSError, ValueError):
                continue
            if record.user == user:
                removed += self._remove(path)
        return removed

    # --- files ---

    def _path(self, key: str, ending: str = ".session") -> Path:
        return self.folder / key[:2] / (key[2:] + ending)

    def _folders(self) -> Iterator[Path]:
        for number in range(_FOLDERS):
            folder = self.folder / f"{number:02x}"
            if folder.is_dir():
                yield folder

    def _sessions(self) -> Iterator[Path]:
        for folder in self._folders():
            yield from folder.glob("*.session")

    @staticmethod
    def _make_folder(folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)

    def _guard(self, folder: Path) -> SharedLock:
        """Lock a folder for a look and a change. Raises LockTimeoutError when that takes seconds."""
        deadline = time.monotonic() + _GUARD_TIMEOUT_S
        name = folder.name
        local = self._guards.acquire(name, _GUARD_TIMEOUT_S)
        try:
            file = LockFile(folder / ".guard", remove=False)
            wait_for(file.try_acquire, deadline)
        except BaseException:
            local.release()
            raise
        return SharedLock(local, file.release)

    def _write(self, path: Path, raw: bytes, expires: float) -> None:
        """Replace a file as a whole. What is cut short by a crash is a file of another name."""
        import secrets

        draft = path.with_suffix(f".{secrets.token_hex(8)}.draft")
        flags = (
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        )
        fd = os.open(draft, flags, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(raw)
            os.utime(draft, (expires, expires))
            _replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _remove(self, path: Path, before: float | None = None) -> bool:
        """Remove a session's file, if it expires before that time. Return whether it was there."""
        if not path.parent.exists():
            return False
        with reach(OSError):
            guard = self._guard(path.parent)
            try:
                if before is not None and _expires(path) > before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
            finally:
                guard.release()
        return True

    def _sweep(self, folder: Path) -> int:
        now = self.clock()
        removed = 0
        for path in folder.iterdir():
            if path.suffix == ".session":
                if 0 < _expires(path) <= now:
                    removed += self._remove(path, now)
            elif 0 < _expires(path) <= now - _LEFT_BEHIND_S:
                if path.suffix == ".lock":
                    file = LockFile(path)
                    if file.try_acquire():
                        file.release()
                elif path.suffix == ".draft":
                    path.unlink(missing_ok=True)
        return removed


def _expires(path: Path) -> float:
    """Return the time of modification; 0 for a file that is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


if sys.platform == "win32":

    def _replace(draft: Path, path: Path) -> None:
        for last in range(_REPLACE_TRIES, -1, -1):
            try:
                draft.replace(path)
            except PermissionError:
                # Windows refuses while somebody reads the old file, which takes no time.
                if not last:
                    raise
                time.sleep(0.005)
            else:
                return

else:

    def _replace(draft: Path, path: Path) -> None:
        draft.replace(path)
