"""Reports of broken policies, as browsers send them: counted, bounded, without what tells of a person.

Sources: W3C CSP Level 3 5.3 (`report-uri`, application/csp-report), Reporting API (`report-to`,
application/reports+json).
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kirsch.web.errors import HTTPError

if TYPE_CHECKING:
    from kirsch.web.request import Request

__all__ = ["Report", "ReportCollector"]

Report = tuple[str, str, str]
"""Directive, origin or keyword of what was blocked, path of the page."""

_OTHER: Final[Report] = ("(other)", "", "")
_TYPES: Final = frozenset({"application/csp-report", "application/reports+json", "application/json"})
_DIRECTIVE: Final = re.compile(r"[a-z-]{1,40}")
_KEYWORD: Final = re.compile(r"[a-z-]{1,30}")
_UNSEEN: Final = re.compile(r"[^\x21-\x7e]")
_LONGEST: Final = 200
"""Characters of an origin or a path that are kept."""


class ReportCollector:
    """Collects reports: `root.csp_reports = ReportCollector()` beside `tools.secureheaders.report_to`.

    Parameters:
        limit: bytes of a body; more is a 413. Firefox and Chrome send some 1 to 10 KB.
        most: different reports that are counted apart; all further ones are counted as one.
        batch: reports read from one body.

    Anybody can send reports, so nothing of them is believed, nor kept longer than the process. A lock guards
    the counts; nothing is called while it is held.
    """

    exposed = True
    takes_request = True

    def __init__(self, limit: int = 65536, most: int = 200, batch: int = 20) -> None:
        self.limit = limit
        self.most = most
        self.batch = batch
        self._counts: dict[Report, int] = {}
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[Report, int]:
        """How often each report came. A copy."""
        with self._lock:
            return dict(self._counts)

    @property
    def total(self) -> int:
        """How many reports came."""
        return sum(self.counts.values())

    def __call__(self, request: Request, /) -> None:
        """Take a body of reports: 204 (No Content), whatever it holds; 405, 413 or 415 for what is none."""
        if request.method != "POST":
            raise HTTPError(405, headers={"Allow": "POST"})
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise HTTPError(415, "Reports come as application/csp-report or application/reports+json.")
        self.take(request.body.read_all(self.limit))
        request.response.status = 204

    def take(self, body: bytes) -> int:
        """Count the reports in `body`, and return how many there were. Never raises."""
        import msgspec  # late: a sixth of what importing the framework costs

        try:
            document: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return 0
        batch = document[: self.batch] if isinstance(document, list) else [document]
        reports = [one for one in map(_report, batch) if one is not None]
        with self._lock:
            for report in reports:
                key = report if report in self._counts or len(self._counts) < self.most else _OTHER
                self._counts[key] = self._counts.get(key, 0) + 1
        return len(reports)


def _report(document: Any) -> Report | None:
    """Return what is kept of one report, None when it is not about a policy."""
    if not isinstance(document, dict):
        return None
    old = document.get("csp-report")
    if isinstance(old, dict):
        directive = old.get("effective-directive") or old.get("violated-directive")
        return _short(directive, old.get("blocked-uri"), old.get("document-uri"))
    body = document.get("body")
    if document.get("type") != "csp-violation" or not isinstance(body, dict):
        return None
    return _short(
        body.get("effectiveDirective"), body.get("blockedURL"), body.get("documentURL") or document.get("url")
    )


def _short(directive: Any, blocked: Any, page: Any) -> Report:
    word = directive.split(" ")[0].lower() if isinstance(directive, str) else ""
    return (word if _DIRECTIVE.fullmatch(word) else "(unknown)", _origin(blocked), _path(page))


def _origin(url: Any) -> str:
    """Return scheme and host of a URL, or the keyword that stands for one; no path, query or user name."""
    if not isinstance(url, str):
        return ""
    if _KEYWORD.fullmatch(url):
        return url
    try:
        parts = urlsplit(url[: _LONGEST * 10])
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(unknown)"
    place = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}" if host else f"{parts.scheme}:"
    return _UNSEEN.sub("?", place)[:_LONGEST]


def _path(url: Any) -> str:
    """Return the path of a URL. Queries and fragments hold names, tokens and searches."""
    if not isinstance(url, str):
        return ""
    try:
        path = urlsplit(url[: _LONGEST * 10]).path
    except ValueError:
        return "(unknown)"
    return _UNSEEN.sub("?", path)[:_LONGEST]
