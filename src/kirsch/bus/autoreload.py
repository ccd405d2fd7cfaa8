"""Restart the program when one of its files changes. For development: off unless it is subscribed."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kirsch.bus.background import Monitor
from kirsch.bus.bus import ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kirsch.bus.bus import Bus

__all__ = ["Autoreloader", "module_files"]

_BYTECODE = (".pyc", ".pyo")


def module_files(match: str = ".*") -> set[Path]:
    """Return the source files (or archives) of loaded modules whose names match the pattern `match`."""
    wanted = re.compile(match)
    files = set()
    for name, module in list(sys.modules.items()):
        if wanted.match(name):
            spec = getattr(module, "__spec__", None)
            archive = getattr(getattr(spec, "loader", None), "archive", None)
            file = archive or getattr(module, "__file__", None)
            if file:
                path = Path(file).absolute()
                files.add(path.with_suffix(".py") if path.suffix in _BYTECODE else path)
    return files


class Autoreloader(Monitor):
    """Restarts the bus when a file of a loaded module, or another it was told of, changes or disappears.

    Parameters:
        bus: the bus.
        frequency: seconds between two looks; 0 or less for never.
        match: regular expression; only modules whose names match from their beginning are watched.
        files: more files, such as configuration.

    With `watchfiles` installed the operating system tells of changes and only the list of modules is looked
    through every `frequency` seconds; otherwise each file's time of modification is.
    """

    def __init__(
        self, bus: Bus, frequency: float = 1, match: str = ".*", files: Iterable[str | Path] = ()
    ) -> None:
        super().__init__(bus, self.look, frequency)
        self.match = match
        """Regular expression for the names of modules."""
        self.files: set[str | Path] = set(files)
        """Files to watch beside those of modules. May be added to at any time."""
        self._seen: dict[Path, float | None] = {}
        """Time of modification when first seen, None for a file that was not there. Owned by the watching
        thread.
        """

    def start(self) -> None:
        """Start watching. What has changed while nobody watched does not count."""
        if self.thread is None:
            self._seen.clear()
        super().start()

    start.priority = 70  # type: ignore[attr-defined]  # read by Bus.subscribe

    def watched(self) -> set[Path]:
        """Return the files that are watched now, as absolute paths."""
        return module_files(self.match) | {Path(file).absolute() for file in tuple(self.files)}

    def look(self) -> None:
        """Compare every file with what it was when first seen; restart the bus at the first one that differs.

        A file that was missing when first seen counts once it appears.
        """
        for path in self.watched():
            now = _modified(path)
            if path not in self._seen:
                self._seen[path] = now
            elif now != self._seen[path]:
                self._restart(path, "changed" if now is not None else "disappeared")
                return

    def make_thread(self, name: str) -> threading.Thread:
        """Return the watching thread: driven by events if `watchfiles` is there, else by time."""
        if importlib.util.find_spec("watchfiles") is not None:
            return _EventThread(self, name)
        return super().make_thread(name)

    def cancel_thread(self, thread: threading.Thread) -> None:
        """Ask a thread of `make_thread` to end."""
        if isinstance(thread, _EventThread):
            thread.cancelled.set()
        else:
            super().cancel_thread(thread)

    def _restart(self, path: Path, what: str) -> None:
        self.bus.log(f"{path} {what}: the bus restarts")
        self.bus.restart()


class _EventThread(threading.Thread):
    """Looks at the files whenever `watchfiles` tells of a change in one of their directories.

    Directories rather than files are watched: editors replace a file by a new one, which ends a watch on it.
    """

    def __init__(self, reloader: Autoreloader, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.cancelled = threading.Event()
        """Ends the thread; `watchfiles` looks at it every 50 ms."""
        self._reloader = reloader
        self._watchfiles: Any = importlib.import_module("watchfiles")

    def run(self) -> None:
        """Watch until cancelled; begin anew when modules have been loaded."""
        while not self.cancelled.is_set():
            try:
                self._watch(self._reloader.watched())
            except Exception:  # noqa: BLE001  the thread's top: an error of the watcher must not end the program
                self._reloader.bus.log(
                    "Error while watching files; trying again", level=ERROR, traceback=True
                )
                self.cancelled.wait(self._reloader.frequency)

    def _watch(self, files: set[Path]) -> None:
        self._reloader.look()
        directories = {path.parent for path in files if path.parent.is_dir()}
        first = True
        for changes in self._watchfiles.watch(
            *directories,
            watch_filter=None,
            recursive=False,
            stop_event=self.cancelled,
            rust_timeout=int(self._reloader.frequency * 1000),
            yield_on_timeout=True,
        ):
            if changes or first:  # the first look is for what changed before the watch was in place
                self._reloader.look()
            first = False
            if self._reloader.watched() != files:
                return


def _modified(path: Path) -> float | None:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return None
