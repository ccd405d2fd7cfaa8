"""The one place that turns an error or a redirect into a response.

Pages are small, escaped, and say nothing of this program but what a person can act on. A client that prefers
JSON gets JSON. An unexpected error is logged with its traceback under the id of the request, and the client
sees the id.
"""

from __future__ import annotations

import os
import traceback
from html import escape
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.accept import Accept
from kirsch.http.status import status_line
from kirsch.web.errors import HTTPError, HTTPRedirect, describe
from kirsch.web.url import check_redirect, make_url

if TYPE_CHECKING:
    from kirsch.web.request import Request

__all__ = ["answer_error", "answer_redirect", "answer_unexpected", "last_resort"]

# RFC 9110 8 and 14: fields that speak of the content there would have been.
_OF_CONTENT: Final = frozenset(
    {
        *("accept-ranges", "age", "content-encoding", "content-length", "content-location", "content-md5"),
        *("content-range", "etag", "expires", "last-modified", "location", "retry-after", "vary"),
    }
)

_PAGE: Final = (
    '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{status}</title></head>\n'
    "<body>\n<h1>{status}</h1>\n<p>{message}</p>\n{more}</body>\n</html>\n"
)
_FAILED: Final = "In addition, the custom error page failed:\n{error}"
_RANGE_NOT_SATISFIABLE: Final = 416


def answer_error(request: Request, error: HTTPError) -> None:
    """Make `error` the response: its status, its fields, its page."""
    shown = _traceback(error) if request.show_tracebacks else ""
    kept = _clean(request, error.code)
    response = request.response
    response.status = error.status
    if kept is not None:
        response.headers["Content-Range"] = kept
    message = error.text(request.script_name + request.path_info)
    _draw(request, error.code, error.status, message, shown)
    for name, value in error.headers.items():
        response.headers[name] = value


def answer_unexpected(request: Request, error: BaseException) -> None:
    """Make the response to an error nobody foresaw: 500, with the id it was logged under."""
    _clean(request, 500)
    request.response.status = 500
    shown = _traceback(error) if request.show_tracebacks else ""
    _draw(request, 500, status_line(500), describe(500), shown, reference=request.unique_id)


def answer_redirect(request: Request, redirect: HTTPRedirect) -> None:
    """Make `redirect` the response: status, Location, and a page with links for clients that do not follow.

    Raises UnsafeRedirectError for a URL that may not be redirected to.
    """
    response = request.response
    status = redirect.status
    if status is None:
        status = 303 if request.protocol >= (1, 1) else 302
    response.status = status
    if status == 304:  # noqa: PLR2004  RFC 9110 15.4.5: no fields but those a 200 would have had to compare with
        for name in ("Allow", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location"):
            response.headers.remove(name)
        response.body = None
        return
    _clean(request, status)
    here = make_url(request, relative=False)
    urls = [
        check_redirect(url, here, request.redirect_hosts, external=redirect.external) for url in redirect.urls
    ]
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    links = "".join(f'<p><a href="{escape(url)}">{escape(url)}</a></p>\n' for url in urls)
    line = status_line(status)
    response.body = _PAGE.format(status=line, message="This resource is at:", more=links).encode()
    if urls:
        response.headers["Location"] = urls[0]


def last_resort() -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, fields and content of the answer when even the error page failed."""
    return (
        status_line(500),
        [("Content-Type", "text/plain; charset=utf-8")],
        b"The server met an unexpected condition and could not answer the request.\n",
    )


def _clean(request: Request, code: int) -> str | None:
    """Remove the fields that spoke of other content; return a Content-Range to keep."""
    headers = request.response.headers
    kept = headers.get("Content-Range") if code == _RANGE_NOT_SATISFIABLE else None
    for name in headers.keys():  # noqa: SIM118  a list, as names are removed on the way
        if name.lower() in _OF_CONTENT:
            headers.remove(name)
    request.response.stream = False
    return kept


def _draw(request: Request, code: int, status: str, message: str, shown: str, reference: str = "") -> None:
    """Set body and Content-Type to the page: the program's own if it has one, else JSON or HTML."""
    response = request.response
    pages = request.error_page
    custom = pages.get(str(code), pages.get("default"))
    if custom is not None:
        try:
            response.headers["Content-Type"] = "text/html; charset=utf-8"
            response.body = _custom(custom, status, message, shown)
        except Exception as error:  # noqa: BLE001  the boundary of the program's page; ours takes its place
            request.app.log(f"the error page for {status} failed", "HTTP", traceback=True)
            if request.show_tracebacks:
                shown += _FAILED.format(error=_traceback(error))
        else:
            return
    if _wants_json(request):
        import msgspec  # late: a sixth of what importing the framework costs

        document: dict[str, object] = {"status": code, "error": status[4:], "message": message}
        if reference:
            document["reference"] = reference
        if shown:
            document["traceback"] = shown
        response.headers["Content-Type"] = "application/json"
        response.body = msgspec.json.encode(document)
        return
    more = f"<p>Reference: {escape(reference)}</p>\n" if reference else ""
    if shown:
        more += f'<pre id="traceback">{escape(shown)}</pre>\n'
    page = _PAGE.format(status=escape(status), message=escape(message), more=more)
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.body = page.encode("utf-8", "replace")


def _wants_json(request: Request) -> bool:
    field = request.headers.get("Accept")
    return (
        field is not None
        and Accept.parse(field).best(("text/html", "application/json")) == "application/json"
    )


def _custom(page: Any, status: str, message: str, shown: str) -> Any:
    """Return what the program's page gives: a callable's result, or a file with its blanks filled in."""
    values = {"status": status, "message": message, "traceback": shown, "version": "Kirsch"}
    if callable(page):
        return page(**values)
    with open(os.fsdecode(page), encoding="utf-8") as file:  # noqa: PTH123  pathlib is not loaded for this alone
        template = file.read()
    return template % {name: escape(value) for name, value in values.items()}


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
