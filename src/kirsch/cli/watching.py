"""Noticing that files change: by events of `watchfiles` where it is installed, else by their times.

Either way what counts is the state of each file; events only end the wait for the next look.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Watch"]

_State = tuple[int, int]
"""Time of modification in nanoseconds, and size; (0, -1) for a file that is not there."""

_MISSING = (0, -1)


class Watch:
    """Files, and what they were like when they began to count. Owned by one thread, but for `wake`.

    Parameters:
        frequency: seconds between two looks, at most.
        since: time in nanoseconds of the epoch. A file that has changed after it, and before it is added, has
            changed.
    """

    def __init__(self, frequency: float, since: int) -> None:
        self._frequency = frequency
        self._since = since
        self._seen: dict[str, _State] = {}
        self._directories: dict[str, set[str]] = {}
        self._early: list[str] = []
        self._watchfiles: Any = None
        if importlib.util.find_spec("watchfiles") is not None:
            self._watchfiles = importlib.import_module("watchfiles")
        self._events: Iterator[object] | None = None
        self._folders: list[str] = []
        self.wake = threading.Event()
        """Ends a wait. From any thread."""

    def add(self, files: Iterable[str]) -> None:
        """Watch `files` too. One that is not there counts when it appears."""
        now = time.time_ns()
        for name in files:
            if name not in self._seen:
                state = self._seen[name] = _state(name)
                # A time in the future is no change: with a wrong clock the program would restart for ever.
                if self._since < state[0] <= now:
                    self._early.append(name)

    def add_directories(self) -> None:
        """Watch for Python files that appear beside those watched, and the ones that lie there now.

        For a program that failed: what it misses may be about to be written. The working directory always
        counts.
        """
        for folder in {str(Path.cwd()), *(str(Path(name).parent) for name in self._seen)}:
            if folder not in self._directories:
                self._directories[folder] = _python_files(folder)
                self.add(self._directories[folder])

    def look(self) -> str | None:
        """Return a file that has changed, appeared or disappeared; None when there is none."""
        if self._early:
            return self._early[0]
        for name, seen in self._seen.items():
            if _state(name) != seen:
                return name
        for folder, before in self._directories.items():
            new = _python_files(folder) - before
            if new:
                return min(new)
        return None

    def wait(self) -> None:
        """Sleep until it is time to look again, or `wake` is set; clears that."""
        if self._watchfiles is None:
            self.wake.wait(self._frequency)
        else:
            self._wait_for_events(self._watchfiles)
        self.wake.clear()

    def _wait_for_events(self, watchfiles: Any) -> None:
        folders = sorted({str(Path(name).parent) for name in self._seen} | self._directories.keys())
        present = [folder for folder in folders if Path(folder).is_dir()]
        if not present or self.wake.is_set():
            self.wake.wait(self._frequency)
            return
        if self._events is None or present != self._folders:
            # Folders rather than files: editors replace a file by a new one, which ends a watch on it.
            # Without a filter, as `look` decides. The timeout is for what changed before the watch was in
            # place.
            self._folders = present
            self._events = watchfiles.watch(
                *present,
                watch_filter=None,
                recursive=False,
                stop_event=self.wake,
                rust_timeout=max(1, int(self._frequency * 1000)),
                yield_on_timeout=True,
                raise_interrupt=False,
            )
        if next(self._events, None) is None:  # `wake` ends it for good
            self._events = None


def _state(name: str) -> _State:
    try:
        facts = Path(name).stat()
    except OSError:
        return _MISSING
    return facts.st_mtime_ns, facts.st_size


def _python_files(folder: str) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.path for entry in entries if entry.name.endswith(".py")}
    except OSError:
        return set()
