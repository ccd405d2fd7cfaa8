"""Logs: errors and events to `kirsch.error`, requests to `kirsch.access`, by the standard `logging`.

One event is one line: control characters in a message are escaped (CWE-117), but for the lines of a
traceback, which are indented so that none of them can pass for an event.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback as tracebacks
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kirsch.config import LogSettings
    from kirsch.web.request import Request

__all__ = ["LogManager", "escape_controls"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTED = re.compile(r'["\\]')


def escape_controls(text: str) -> str:
    """Return `text` with control characters, and the line separators of Unicode, as escapes of Python."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


class LogManager:
    """The logs of a site or of one application.

    Parameters:
        name: appended to the names of the loggers; empty for those of the site.
        root: first part of the names of the loggers.

    Handlers hang on the site's loggers; an application's loggers pass everything on to them. Any thread may
    log.
    """

    def __init__(self, name: str = "", root: str = "kirsch") -> None:
        tail = f".{name}" if name else ""
        self.error_log = logging.getLogger(f"{root}.error{tail}")
        """Where `error` goes."""
        self.access_log = logging.getLogger(f"{root}.access{tail}")
        """Where `access` goes."""
        # By purpose. Owned by the thread that configures.
        self._handlers: dict[str, logging.Handler] = {}

    def __call__(
        self,
        msg: str = "",
        context: str = "",
        severity: int | None = None,
        traceback: bool | BaseException = False,
    ) -> None:
        """Log an event; the same as `error`."""
        self.error(msg, context, severity, traceback)

    def error(
        self,
        msg: str = "",
        context: str = "",
        severity: int | None = None,
        traceback: bool | BaseException = False,
    ) -> None:
        """Log an event.

        Parameters:
            msg: what happened.
            context: which part of the program, in capitals by habit.
            severity: 10 to 50 as in `logging`; without it ERROR with a traceback, INFO without.
            traceback: whether to add the traceback of the exception that is being handled, or the exception.
        """
        if severity is None:
            severity = logging.ERROR if traceback else logging.INFO
        if not self.error_log.isEnabledFor(severity):
            return
        text = f"{context} {escape_controls(msg)}".lstrip()
        if traceback:
            lines = (
                tracebacks.format_exception(traceback)
                if isinstance(traceback, BaseException)
                else [tracebacks.format_exc()]
            )
            text = f"{text}\n{''.join(lines)}"
        self.error_log.log(severity, "%s", _indented(text), extra={"indented": True})

    def access(self, request: Request) -> None:
        """Log a request that was answered, in the combined format.

        For programs under another server; ours logs itself.
        """
        if not self.access_log.isEnabledFor(logging.INFO):
            return
        head = request.head
        response = request.response
        content = request.exchange.content
        length = len(content) if isinstance(content, bytes) else "-"
        referer, agent = head.get("Referer"), head.get("User-Agent")
        login = request.login if isinstance(request.login, str) and request.login else "-"
        when = time.strftime("[%d/%b/%Y:%H:%M:%S %z]")
        self.access_log.info(
            "%s",
            f'{request.remote.ip or "-"} - {_quoted(login)} {when} "{_quoted(request.request_line)}" '
            f'{response.output_status[:3]} {length} "{_quoted(referer)}" "{_quoted(agent)}"',
        )

    # --- where it goes ---

    def configure(self, settings: LogSettings) -> None:
        """Send the logs where the settings say, instead of where they went.

        OSError for a file that cannot be opened.
        """
        self.remove_handlers()
        if settings.screen:
            self._add("screen", self.error_log, _Screen("stderr"))
            self._add("access_screen", self.access_log, _Screen("stdout"))
        for purpose, logger, name in (
            ("file", self.error_log, settings.error_file),
            ("access_file", self.access_log, settings.access_file),
        ):
            if name is not None:
                self._add(purpose, logger, logging.FileHandler(name, encoding="utf-8"))

    def _add(self, purpose: str, logger: logging.Logger, handler: logging.Handler) -> None:
        handler.setFormatter(_Lines() if logger is self.error_log else logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
        self._handlers[purpose] = handler

    def remove_handlers(self) -> None:
        """Take away what `configure` has added, and close it."""
        for handler in self._handlers.values():
            self.error_log.removeHandler(handler)
            self.access_log.removeHandler(handler)
            handler.close()
        self._handlers.clear()

    def reopen_files(self) -> None:
        """Close the files and open them again by name, after something has moved them away."""
        for handler in self._handlers.values():
            if isinstance(handler, logging.FileHandler):
                # It opens its file again at the next record.
                handler.acquire()
                try:
                    if handler.stream is not None:
                        handler.stream.close()
                    handler.stream = handler._open()  # noqa: SLF001  what FileHandler itself does at its start
                finally:
                    handler.release()


def _indented(text: str) -> str:
    """Return `text` with its controls escaped and every line but the first indented.

    A traceback quotes the message of its exception, which may quote the client: no line of it shall pass for
    an event.
    """
    first, *rest = text.rstrip("\n").split("\n")
    return "\n".join([escape_controls(first), *(f"    {escape_controls(line)}" for line in rest)])


class _Lines(logging.Formatter):
    """Time and message; what came with it is indented below, whoever logged it."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] %(message)s", "%d/%b/%Y:%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, without the end of its last line."""
        text = super().format(record)
        return text if getattr(record, "indented", False) else _indented(text)


def _quoted(text: str) -> str:
    """Return `text` fit to stand between double quotes in a line."""
    return _QUOTED.sub(r"\\\g<0>", escape_controls(text)) if text else "-"


class _Screen(logging.Handler):
    """Writes to what `sys.stderr` or `sys.stdout` is at the moment; programs and tests replace them.

    Parameters:
        stream: `stderr` or `stdout`.
    """

    def __init__(self, stream: str) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; what cannot be written is `logging`'s to report."""
        try:
            stream = getattr(sys, self._stream)
            # None in a process without a console.
            if stream is not None:
                stream.write(self.format(record) + "\n")
                stream.flush()
        except Exception:  # noqa: BLE001  as every handler of `logging`: a log must not end the program
            self.handleError(record)
