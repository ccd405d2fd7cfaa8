"""Exceptions that are answers: raise one in a handler, a hook or a tool, and it becomes the response.

    KirschError             anything this framework raises for a program to see
      HTTPError             an error page, 400 to 599
        NotFound            404, naming the path
      HTTPRedirect          the client shall go elsewhere, 300 to 308
      InternalRedirect      another resource of this process answers, unseen by the client
      UnsafeRedirectError   a redirect to a place that was not allowed; the program is at fault
      NoRequestError        `kirsch.request` was used where no request is being answered; also an
      AttributeError

`HTTPError` and `HTTPRedirect` know how to answer a request; `kirsch.web.errorpage` is the one place that
draws pages.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from kirsch.http.status import valid_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "HTTPError",
    "HTTPRedirect",
    "InternalRedirect",
    "KirschError",
    "NoRequestError",
    "NotFound",
    "UnsafeRedirectError",
]

_LOWEST, _HIGHEST = 400, 599

REDIRECTS = frozenset({300, 301, 302, 303, 304, 305, 307, 308})
"""Status codes of `HTTPRedirect` (RFC 9110 15.4). 306 is reserved and means nothing."""


class KirschError(Exception):
    """Anything this framework raises for a program to see."""


class HTTPError(KirschError):
    """An error page (RFC 9110 15.5 and 15.6).

    Parameters:
        status: a code from 400 to 599, or such a code with a reason phrase of one's own, `"404 No such
            note"`.
        message: what to tell the client, as plain text; it is escaped where it is shown. None for the
            sentence the code stands for.
        headers: fields of the response, such as `Allow` with a 405. Raises nothing here; they are checked
            when the response is made.

    Raises ValueError for another code. An instance can be called and raises itself, so it can be a handler.
    """

    def __init__(
        self,
        status: int | str = 500,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        code, reason = valid_status(status)
        if not _LOWEST <= code <= _HIGHEST:
            raise ValueError(f"an HTTPError has a status from {_LOWEST} to {_HIGHEST}, not {code}")
        super().__init__(code, message)
        self.code = code
        """The status code."""
        self.reason = reason
        """The reason phrase."""
        self.status = f"{code} {reason}"
        """Code and reason phrase, as they stand in the status line."""
        self.message = message
        """What was said about it, or None."""
        self.headers: dict[str, str] = dict(headers or {})
        """Fields of the response."""

    def text(self, path: str) -> str:
        """Return what to tell the client about a request for `path`."""
        del path
        return self.message if self.message is not None else describe(self.code)

    def __call__(self) -> NoReturn:
        """Raise this error."""
        raise self

    @classmethod
    @contextmanager
    def handle(
        cls,
        exceptions: type[BaseException] | tuple[type[BaseException], ...],
        status: int | str = 500,
        message: str = "",
    ) -> Iterator[None]:
        """Turn `exceptions` raised in the block into an HTTPError with `message`, or with their text."""
        try:
            yield
        except exceptions as error:
            raise cls(status, message or str(error)) from error

    def __str__(self) -> str:
        return f"{self.status}: {self.text('')}"


class NotFound(HTTPError):  # noqa: N818  the name programs write
    """404 (Not Found) for a path.

    Parameters:
        path: the path, decoded; None for that of the request that is being answered.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__(404)
        self.path = path
        """The path that was not found, or None for the request's."""

    def text(self, path: str) -> str:
        """Return the sentence that names the path."""
        return f"The path '{path if self.path is None else self.path}' was not found."


class HTTPRedirect(KirschError):  # noqa: N818  the name programs write
    """Send the client elsewhere (RFC 9110 15.4).

    Parameters:
        urls: one URL or several, absolute or relative to the URL of the request. Relative ones are made
            absolute paths when the response is made.
        status: 300, 301, 302, 303, 304, 305, 307 or 308; None for 303, or 302 to a client of HTTP/1.0.
        external: whether the URLs may lead to another host. Without it they must stay on the host of the
            request, so that a `next=` parameter cannot send users away (CWE-601).

    Raises ValueError for another status. Where a URL may lead is checked when the response is made; one that
    may not is an `UnsafeRedirectError`, logged, and the client gets a 500.
    """

    def __init__(
        self, urls: str | Sequence[str], status: int | None = None, *, external: bool = False
    ) -> None:
        if status is not None and int(status) not in REDIRECTS:
            raise ValueError(
                f"a redirect has a status of {', '.join(map(str, sorted(REDIRECTS)))}, not {status}"
            )
        self.urls: list[str] = [urls] if isinstance(urls, str) else list(urls)
        """The URLs as they were given."""
        super().__init__(self.urls, status)
        self.status = None if status is None else int(status)
        """The status, or None for the default of the request's protocol."""
        self.external = external
        """Whether other hosts are allowed."""

    def __call__(self) -> NoReturn:
        """Raise this redirect."""
        raise self


class InternalRedirect(KirschError):  # noqa: N818  the name programs write
    """Let another resource of this process answer, as if it had been asked for with GET.

    Parameters:
        path: a path below the application, absolute or relative to that of the request; may hold a query.
        query_string: the query of the new request, without `?`; else that in `path`.
    """

    def __init__(self, path: str, query_string: str = "") -> None:
        if not query_string:
            path, _, query_string = path.partition("?")
        super().__init__(path, query_string)
        self.path = path
        """The path as it was given, without its query."""
        self.query_string = query_string
        """The query of the new request."""


class UnsafeRedirectError(KirschError):
    """A redirect to a place that was not allowed. The program took a URL from outside without checking it."""


class NoRequestError(KirschError, AttributeError):
    """`kirsch.request` or `kirsch.response` was used where no request is being answered.

    An AttributeError, so that `hasattr(kirsch.request, name)` is False there.
    """


def describe(code: int) -> str:
    """Return a sentence on what status `code` means to the client; empty for codes nobody registered."""
    try:
        return HTTPStatus(code).description
    except ValueError:
        return ""
