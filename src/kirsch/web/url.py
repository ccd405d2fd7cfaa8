"""URLs of a program: made for links, and checked before somebody is sent to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from kirsch.http.urls import format_query, quote, quote_location, remove_dot_segments
from kirsch.web.errors import UnsafeRedirectError

if TYPE_CHECKING:
    from collections.abc import Collection

    from kirsch.web.request import Request

__all__ = ["Query", "check_redirect", "make_url", "normal_path"]

Query = "str | Mapping[str, Any] | Iterable[tuple[str, Any]]"

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def make_url(
    request: Request | None,
    path: str = "",
    qs: Query = "",  # type: ignore[valid-type]  # an alias in quotes
    script_name: str | None = None,
    base: str | None = None,
    relative: bool | str | None = None,
    *,
    server_base: str = "",
) -> str:
    """Return a URL for `path`.

    Parameters:
        request: the request to be relative to; None outside of one.
        path: absolute below the application, or relative to the request's path; percent-encoded or not, what
            a URL may not hold is encoded. `.` and `..` are resolved. Empty for the request's own path.
        qs: the query: text, already encoded, or names and values.
        script_name: path of the application; None for the request's.
        base: scheme and host; None for the request's.
        relative: True for a URL relative to the request's, `"server"` for one without scheme and host, None
            for what the application's `relative_urls` says.
        server_base: scheme and host outside of a request.

    Nothing in the query is touched.
    """
    query = _query(qs)
    if request is None:
        whole = (server_base if base is None else base) + _joined(script_name or "", _rooted(path))
        return whole + query
    if base is None:
        base = request.base
    if script_name is None:
        script_name = request.script_name
    below = request.path_info
    if request.is_index is True and not below.endswith("/"):
        below += "/"
    elif request.is_index is False and below.endswith("/") and below != "/":
        below = below[:-1]
    if not path:
        target = quote(below, "/%")
    elif path.startswith("/"):
        target = path
    else:
        target = quote(below, "/%").rpartition("/")[0] + "/" + path
    if relative is None:
        relative = request.app.relative_urls
    target = _joined(script_name, normal_path(target))
    if relative == "server":
        return target + query
    if relative:
        return _relative(_joined(script_name, quote(request.path_info, "/%")), target) + query
    return base + target + query


def _query(qs: Any) -> str:
    if not qs:
        return ""
    if isinstance(qs, str):
        return "?" + qs
    pairs = qs.items() if hasattr(qs, "items") else qs
    flat = [
        (str(name), str(one))
        for name, value in pairs
        for one in (value if isinstance(value, (list, tuple)) else (value,))
    ]
    return "?" + format_query(flat) if flat else ""


def _rooted(path: str) -> str:
    return normal_path(path if path.startswith("/") else f"/{path}")


def _joined(script_name: str, path: str) -> str:
    return quote_location(script_name.rstrip("/") + path) or "/"


def normal_path(path: str) -> str:
    """Return `path` without `.` and `..`; what follows a `?` or `#` is not a path and stays."""
    cut = re.search("[?#]", path)
    end = len(path) if cut is None else cut.start()
    return remove_dot_segments(path[:end]) + path[end:]


def _relative(source: str, target: str) -> str:
    """Return `target`, an absolute path, as seen from `source`."""
    have = source.split("/")[:-1]
    want = target.split("/")
    common = 0
    while common < min(len(have), len(want) - 1) and have[common] == want[common]:
        common += 1
    found = "/".join([".."] * (len(have) - common) + want[common:])
    # A first segment with a colon would be read as a scheme (RFC 3986 4.2), an empty one as `//host`.
    return f"./{found}" if not found or ":" in found.partition("/")[0] or found.startswith("/") else found


def check_redirect(url: str, current: str, hosts: Collection[str] = (), *, external: bool = False) -> str:
    """Return `url` fit for a Location field, absolute if it was, else resolved to an absolute path.

    Parameters:
        url: where to, absolute or relative.
        current: the URL of the request, absolute.
        hosts: other hosts it may lead to, with a port if that is not the scheme's own.
        external: whether it may lead anywhere on http and https.

    Raises UnsafeRedirectError for what does not stay on the host of `current`, and for everything that
    browsers and servers read differently: controls and spaces in front, backslashes, `//host`, schemes
    without `//`, user names.
    """
    if _CONTROL.match(url) or any(char < " " or char == "\x7f" for char in url):
        raise _unsafe(url, "it holds a control character, or begins with a space")
    if "\\" in url.partition("?")[0]:
        raise _unsafe(url, "browsers read its backslash as a slash")
    scheme = _SCHEME.match(url)
    if scheme is None:
        if url.startswith("//"):
            raise _unsafe(url, "two slashes in front begin a host")
        return quote_location(_resolved(current, url))
    if scheme[0].lower() not in {"http:", "https:"} or url[scheme.end() :][:2] != "//":
        raise _unsafe(url, "its scheme is not http:// or https://")
    try:
        there, here = urlsplit(url), urlsplit(current)
        port = there.port
    except ValueError:
        raise _unsafe(url, "it is no URL") from None
    if not there.hostname or "@" in there.netloc:
        raise _unsafe(url, "it has no host, or a user name in front of it")
    if not external:
        same = (there.scheme, there.hostname, port or _DEFAULT_PORTS[there.scheme]) == (
            here.scheme,
            here.hostname,
            here.port or _DEFAULT_PORTS.get(here.scheme),
        )
        if not same and there.netloc.lower() not in {host.lower() for host in hosts}:
            raise _unsafe(
                url, "it leads to another host; add that to request.redirect_hosts, or pass external=True"
            )
    return quote_location(url)


def _resolved(current: str, url: str) -> str:
    """Return `url`, a relative reference, as an absolute path with its query."""
    parts = urlsplit(urljoin(current, url))
    path = remove_dot_segments(parts.path) or "/"
    # `/x/..//evil` resolves to `//evil`.
    path = "/" + path.lstrip("/")
    return (
        path + (f"?{parts.query}" if parts.query else "") + (f"#{parts.fragment}" if parts.fragment else "")
    )


def _unsafe(url: str, why: str) -> UnsafeRedirectError:
    return UnsafeRedirectError(f"the redirect to {url[:200]!a} was refused: {why}")
