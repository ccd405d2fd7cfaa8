"""The gateway to WSGI programs (PEP 3333): an exchange becomes environ and start_response.

What follows from a head alone is made once per head and copied per request; a head that repeats costs one
dictionary copy.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from kirsch.http.exchange import Exchange
from kirsch.http.pace import PaceTable
from kirsch.server.answer import FileContent
from kirsch.server.errors import ApplicationError
from kirsch.server.response import parse_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from kirsch.http.exchange import Link, RequestHead
    from kirsch.http.pace import Pace

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
    WSGIApplication = Callable[[dict[str, Any], Callable[..., Callable[[bytes], None]]], Iterable[bytes]]

__all__ = ["WSGIExchange", "WSGIGateway"]

_JOINED = {"cookie": "; "}
"""What joins repeated fields other than ", ": RFC 9110 section 5.3, RFC 9113 section 8.2.3 for Cookie."""


class WSGIExchange(Exchange):
    """An exchange whose `start_response` is the callable of PEP 3333."""

    __slots__ = ()

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take status and headers; return `write`. See PEP 3333, "The start_response() Callable".

        Raises ApplicationError when called twice without `exc_info`, and for a status or headers of the wrong
        type; the exception in `exc_info` again when the head is out.
        """
        if exc_info is not None:
            try:
                if self.started:
                    if exc_info[1] is None:
                        raise ApplicationError(
                            "start_response was called after the head was sent, with an exc_info that holds "
                            "no exception (PEP 3333)."
                        )
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status:
            raise ApplicationError("start_response was called a second time without exc_info (PEP 3333).")
        if type(headers) is not list:
            raise ApplicationError(f"The headers must be a list (PEP 3333), not {type(headers).__name__}.")
        if type(status) is not str or not status:
            parse_status(status)
        self.status = status
        self.fields = headers
        if self.finish is not None:
            self.finish(self)
        return self.write

    def write(self, data: bytes) -> None:
        """Send `data` now; see PEP 3333, "The write() Callable". Raises ApplicationError, or ClientGone."""
        if not isinstance(data, bytes):
            raise ApplicationError(f"write() takes bytes, not {type(data).__name__}.")
        if data:
            self.link.push(self, data)


class WSGIGateway:
    """Serves a WSGI program.

    Parameters:
        application: the WSGI callable.
        multithread: what `wsgi.multithread` says.
        multiprocess: what `wsgi.multiprocess` says.
        script_name: prefix of the path that belongs to whoever mounted the program, without a slash at its
        end.
    """

    exchange_type = WSGIExchange

    def __init__(
        self,
        application: WSGIApplication,
        *,
        multithread: bool = True,
        multiprocess: bool = False,
        script_name: str = "",
    ) -> None:
        self.application = application
        self.script_name = script_name
        self._paces = PaceTable()
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": script_name,
            "SERVER_SOFTWARE": "Kirsch",
            "wsgi.version": (1, 0),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileContent,
        }

    def pace(self, head: RequestHead) -> Pace:
        """See `Gateway.pace`."""
        pace = head.pace
        if pace is None:
            pace = head.pace = self._paces.get(head.method, head.path)
        return pace

    def __call__(self, exchange: WSGIExchange) -> None:
        """Call the program; see `Gateway.__call__`."""
        head = exchange.head
        link = exchange.link
        derived = link.derived
        if derived is None or derived[0] is not head:
            derived = self._derive(head, link)
        environ = derived[1].copy()
        body = exchange.body
        if body is None:
            environ["wsgi.input"] = BytesIO()
        else:
            environ["wsgi.input"] = body
            environ["CONTENT_LENGTH"] = str(exchange.length)
        # Looked up per request: programs and tests replace sys.stderr.
        environ["wsgi.errors"] = sys.stderr
        exchange.content = self.application(environ, exchange.start_response)

    def _derive(self, head: RequestHead, link: Link) -> tuple[RequestHead, dict[str, Any], dict[str, Any]]:
        """Return and keep what the requests of a connection with the same head share: the head, their
        environ.
        """
        derived: tuple[RequestHead, dict[str, Any], dict[str, Any]] | None = link.derived
        of_link = derived[2] if derived is not None else self._of_link(link)
        of_head = head.derived.get(self)
        if of_head is None:
            of_head = head.derived[self] = self._of_head(head)
        made = link.derived = (head, {**of_head, **of_link}, of_link)
        return made

    def _of_head(self, head: RequestHead) -> dict[str, Any]:
        path = head.path
        if "%" in path:
            path = unquote_to_bytes(path).decode("latin-1")
        if self.script_name and f"{path}/".startswith(f"{self.script_name}/"):
            path = path[len(self.script_name) :]
        of_fields = head.shared.get(self)
        if of_fields is None:
            # The base stands in here too: one dictionary to copy in place of two.
            of_fields = head.shared[self] = {**self._base, **self._of_fields(head)}
        environ: dict[str, Any] = of_fields.copy()
        environ["REQUEST_METHOD"] = head.method
        environ["PATH_INFO"] = path if path != "*" else ""
        environ["QUERY_STRING"] = head.query
        environ["REQUEST_URI"] = environ["RAW_URI"] = head.target
        environ["SERVER_PROTOCOL"] = "HTTP/1.1" if head.minor else "HTTP/1.0"
        if head.host:
            # An absolute-form target's authority stands for the Host field (RFC 9112 section 3.2.2).
            environ["HTTP_HOST"] = head.host
        return environ

    @staticmethod
    def _of_fields(head: RequestHead) -> dict[str, str]:
        environ: dict[str, str] = {}
        for name, value in head.fields:
            # "X_Forwarded_For" would become the same key as "X-Forwarded-For" and could speak for it
            # (CVE-2024-45614). Transfer-Encoding is gone with the chunks: the program reads the decoded body
            # (RFC 9112 section 7.1.3).
            lower = name.lower()
            if "_" in name or lower == "transfer-encoding":
                continue
            key = lower.upper().replace("-", "_")
            if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
                key = f"HTTP_{key}"
            if key in environ:
                environ[key] += _JOINED.get(lower, ", ") + value
            else:
                environ[key] = value
        return environ

    @staticmethod
    def _of_link(link: Link) -> dict[str, Any]:
        host, port = link.local
        return {
            # A Unix socket has neither, and PEP 3333 lets neither be empty.
            "SERVER_NAME": host if port else "localhost",
            "SERVER_PORT": str(port or (443 if link.scheme == "https" else 80)),
            "REMOTE_ADDR": link.peer[0],
            "REMOTE_PORT": str(link.peer[1]) if link.peer[1] else "",
            "wsgi.url_scheme": link.scheme,
            **link.tls_environ(),
        }
