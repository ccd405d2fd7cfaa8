"""The access log: one line per answer, in a format operators' tools read.

No control character reaches a line raw, so a request cannot forge another (OWASP ASVS 16.4.1). Lines are
collected and written by the leader before it waits, or by the pool where a write may block.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from time import monotonic_ns
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kirsch.http.exchange import Exchange
    from kirsch.server.connection import Connection

__all__ = ["FORMATS", "AccessLog", "escape"]

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST_WAITING = 100_000
"""Lines kept while the file takes none; more are dropped and counted, since serving comes first."""


def escape(text: str) -> str:
    r"""Return `text` in printable ASCII without quotes and backslashes.

    All else stands as `\xNN`, `\uNNNN` or `\UNNNNNNNN`.
    """
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= 0xFF:  # noqa: PLR2004  the last code of latin-1
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  the last of four digits


def _common(connection: Connection, exchange: Exchange, when: str) -> str:
    head = exchange.head
    peer = connection.peer[0] or "-"
    line = escape(f"{head.method} {head.target} HTTP/1.{head.minor}")
    # No status: the client went away before the program had named one.
    return f'{peer} - - [{when}] "{line}" {exchange.status[:3] or "-"} {connection.sent}'


def _combined(connection: Connection, exchange: Exchange, when: str) -> str:
    head = exchange.head
    referer = escape(head.get("Referer", "-"))
    agent = escape(head.get("User-Agent", "-"))
    return f'{_common(connection, exchange, when)} "{referer}" "{agent}"'


def _json(connection: Connection, exchange: Exchange, when: str) -> str:
    head = exchange.head
    return json.dumps(
        {
            "time": when,
            "client": connection.peer[0],
            "method": head.method,
            "target": head.target,
            "protocol": f"HTTP/1.{head.minor}",
            "status": int(exchange.status[:3]) if exchange.status else None,
            "bytes": connection.sent,
            "duration_us": (monotonic_ns() - connection.active) // 1000,
            "host": head.host,
            "referer": head.get("Referer"),
            "user_agent": head.get("User-Agent"),
        }
    )


FORMATS: dict[str, Callable[[Connection, Exchange, str], str]] = {
    "common": _common,
    "combined": _combined,
    "json": _json,
}
"""Formats by the names that `server.access_log` takes: NCSA common, Apache's combined, one JSON object per
line."""


class AccessLog:
    """Writes a line for every answer.

    `_lines` is appended to by any thread; whoever holds `_lock` takes from its begin and writes, so that
    lines never mix. Nobody waits for that lock: a stream that blocks holds one thread, not all of them.

    Parameters:
        form: a name in `FORMATS`.
        stream: where lines go.
        clock: seconds since 1970.
    """

    def __init__(self, form: str, stream: IO[str], clock: Callable[[], float] = time.time) -> None:
        self._format = FORMATS[form]
        self._iso = form == "json"
        self._stream = stream
        self._clock = clock
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._when = (-1, "")
        # Whether a flush is on its way that has not begun. Set by the leader, cleared by whoever flushes.
        self._asked = False
        self.dropped = 0
        """Lines given up because the stream took none."""
        self.blocks = not _is_regular(stream)
        """Whether a write may wait for somebody, as on a pipe or a terminal."""

    def __call__(self, connection: Connection, exchange: Exchange) -> None:
        """Note one answer."""
        if len(self._lines) >= _MOST_WAITING:
            self.dropped += 1
            return
        # Made before the list is touched, which may be emptied meanwhile.
        line = self._format(connection, exchange, self._time())
        self._lines.append(line)

    def _time(self) -> str:
        second = int(self._clock())
        when = self._when
        if when[0] != second:
            utc = time.gmtime(second)
            if self._iso:
                text = time.strftime("%Y-%m-%dT%H:%M:%SZ", utc)
            else:
                # By hand, since %b would be in the language of the locale.
                day = f"{utc.tm_mday:02d}/{_MONTHS[utc.tm_mon - 1]}/{utc.tm_year}"
                text = f"{day}:{time.strftime('%H:%M:%S', utc)} +0000"
            when = self._when = (second, text)
        return when[1]

    @property
    def waiting(self) -> bool:
        """Whether there are lines to write."""
        return bool(self._lines)

    def flush_by(self, call: Callable[[Callable[[], None]], object]) -> None:
        """Have `call` flush soon, in a thread that may wait, unless it was told to already."""
        if not self._asked:
            self._asked = True
            call(self.flush)

    def flush(self) -> None:
        """Write what is there, unless another thread is at it. An error of the stream costs its lines."""
        self._asked = False
        # Looked at again after the lock is free: whoever found it held a moment before left its lines to us.
        while self._lines and self._lock.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._lock.release()

    def _write(self) -> None:
        count = len(self._lines)
        lines = self._lines[:count]
        del self._lines[:count]
        if not lines:
            return
        lines.append("")
        try:
            self._stream.write("\n".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += count


def _is_regular(stream: IO[str]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        # Something in memory: it does not wait for anybody.
        return True
