"""Where `kirsch run` writes: errors to standard error, access lines to standard output, or to files.

The loggers are those of the whole house, `kirsch.error` and `kirsch.access`; what programs log through the
framework arrives here too. One event is one line; the lines of a traceback are indented under it, and control
characters are escaped, so that no client can forge an event (CWE-117).
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import re
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from kirsch.cli.errors import Failure

if TYPE_CHECKING:
    from kirsch.config import LogSettings

__all__ = ["Logs"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _escaped(line: str) -> str:
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], line)


class _Formatter(logging.Formatter):
    """Indents the traceback of a record under its message, and escapes what could break a line."""

    def formatException(self, ei: object) -> str:  # noqa: N802  logging's name
        """Return the traceback in indented lines."""
        text = super().formatException(ei)  # type: ignore[arg-type]  # passed on as it came
        return "\n".join(f"    {_escaped(line)}" for line in text.split("\n"))


class _Lines:
    """A text stream that writes to the screen, to a file, or to both. Any thread may write.

    Parameters:
        screen: the stream, None for none.
        path: the file, None for none.
    """

    def __init__(self, screen: IO[str] | None, path: str | None) -> None:
        self._screen = screen
        # Absolute: a program may change its directory before it is reopened.
        self._path = None if path is None else Path(path).absolute()
        # Held while the file is written or replaced.
        self._lock = threading.Lock()
        self._file = self._opened()

    def _opened(self) -> IO[str] | None:
        return None if self._path is None else self._path.open("a", encoding="utf-8")

    def write(self, text: str) -> int:
        """Write `text` to all of them; OSError of the first that fails."""
        with self._lock:
            for stream in (self._file, self._screen):
                if stream is not None:
                    stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush all of them."""
        with self._lock:
            for stream in (self._file, self._screen):
                if stream is not None:
                    stream.flush()

    def fileno(self) -> int:
        """Return the descriptor of the stream that may block: the screen's if it is written to."""
        stream = self._screen or self._file
        if stream is None:
            raise ValueError("nothing is written to")
        return stream.fileno()

    def reopen(self) -> None:
        """Close the file and open it anew by its name."""
        with self._lock:
            new = self._opened()
            old, self._file = self._file, new
            if old is not None:
                with contextlib.suppress(OSError):
                    old.close()

    def close(self) -> None:
        """Close the file; the screen is not ours."""
        with self._lock:
            old, self._file = self._file, None
            if old is not None:
                with contextlib.suppress(OSError):
                    old.close()


class Logs:
    """The logs of one run.

    Parameters:
        settings: where they go.

    Raises Failure when a file cannot be opened. `open` and `close` belong to the thread of the command.
    """

    def __init__(self, settings: LogSettings) -> None:
        try:
            self._errors = _Lines(sys.stderr if settings.screen else None, settings.error_file)
            self._accesses = _Lines(sys.stdout if settings.screen else None, settings.access_file)
        except OSError as error:
            raise Failure(f"Cannot open the log file {error.filename}: {error.strerror}.") from error
        self._faults = False
        """Whether the interpreter writes stacks where errors go when it crashes."""
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._levels: list[tuple[logging.Logger, int]] = []

    @property
    def access_stream(self) -> IO[str]:
        """Where the server writes access lines."""
        return cast("IO[str]", self._accesses)  # it has what the server uses of one

    def open(self) -> None:
        """Take what the loggers of the house are told."""
        for name, lines in (("kirsch.error", self._errors), ("kirsch.access", self._accesses)):
            logger = logging.getLogger(name)
            handler = logging.StreamHandler(cast("IO[str]", lines))
            handler.setFormatter(_Formatter("%(message)s"))
            logger.addHandler(handler)
            self._handlers.append((logger, handler))
            self._levels.append((logger, logger.level))
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)
        if not faulthandler.is_enabled():
            self._faults = True
            self._catch_faults()

    def _catch_faults(self) -> None:
        """Have a crash of the interpreter leave the stacks of all threads where errors go."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # nowhere, or no real file
            faulthandler.enable(self._errors.fileno())

    def close(self) -> None:
        """Leave the loggers as they were, and close the files."""
        for logger, handler in self._handlers:
            logger.removeHandler(handler)
        for logger, level in self._levels:
            logger.setLevel(level)
        if self._faults:
            faulthandler.disable()
            self._faults = False
        self._handlers.clear()
        self._levels.clear()
        self._errors.close()
        self._accesses.close()

    def reopen(self) -> None:
        """Open the files anew by their names, after something has moved them away."""
        self._errors.reopen()
        self._accesses.reopen()
        if self._faults:
            self._catch_faults()

    # --- who writes ---

    def bus(self, msg: str, level: int = logging.INFO) -> None:
        """Listen on the channel `log` of a bus. What a healthy run says is only written at level DEBUG."""
        self._write("BUS", level if level > logging.INFO else logging.DEBUG, msg)

    def server(self, message: str, *, traceback: bool = False) -> None:
        """Take what the server has to say; `traceback` adds the exception that is being handled."""
        self._write("SERVER", logging.ERROR, message, exc_info=traceback)

    def supervisor(self, message: str, level: int) -> None:
        """Take what the supervisor of the workers has to say; what a healthy run says, too."""
        self._write("SUPERVISOR", level, message)

    @staticmethod
    def _write(context: str, level: int, message: str, *, exc_info: bool = False) -> None:
        first, *rest = message.rstrip("\n").split("\n")
        text = f"{time.strftime('[%d/%b/%Y:%H:%M:%S]')} {context} {_escaped(first)}"
        text += "".join(f"\n    {_escaped(line)}" for line in rest)
        logging.getLogger("kirsch.error").log(level, "%s", text, exc_info=exc_info)
