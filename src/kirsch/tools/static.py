"""`serve_file` and its kin: files, with all HTTP knows to say about them.

A small file is read and answered like any page; a larger one is handed to the server open, which has the
system send it. ETag and Last-Modified, conditions (RFC 9110 13.2.2), If-Range, and ranges (14) come with it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.dates import format_date
from kirsch.http.etags import evaluate
from kirsch.http.exchange import FileBody
from kirsch.http.media import format_disposition
from kirsch.http.ranges import MOST_RANGES, content_range, if_range, parse_range
from kirsch.tools.files import Source, open_file
from kirsch.web.context import current
from kirsch.web.errors import HTTPError, HTTPRedirect, NoRequestError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kirsch.web.request import Request

__all__ = ["describe", "media_type", "note", "send", "serve_download", "serve_file", "serve_fileobj"]

SMALL: Final = 65_536
"""Bytes of a file that is read into memory: one system call to send it, as any page. Sending from the
descriptor pays from about this size on."""

_BLOCK: Final = 65_536

UNKNOWN: Final = "application/octet-stream"
"""Media type of what has no known one."""

# What the table of the standard library lacks, has only in some versions, or says otherwise than its
# registration. The system's own table is left out: what a file is shall not depend on the machine.
_TYPES: Final = {
    ".7z": "application/x-7z-compressed",
    ".avif": "image/avif",
    ".bz2": "application/x-bzip2",
    ".dwg": "image/x-dwg",
    ".gz": "application/gzip",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".rtf": "application/rtf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
}


@lru_cache(maxsize=1)
def _types() -> dict[str, str]:
    import mimetypes  # late: it reads the system's tables, though we do not

    table = mimetypes.MimeTypes()
    return {**table.types_map[1], **_TYPES}


def media_type(name: str, content_types: Mapping[str, str] | None = None) -> str:
    """Return the media type of a file by the end of its name; `application/octet-stream` for one unknown.

    Parameters:
        name: name or path of the file.
        content_types: types by extension, with a dot or without, before those everybody knows.

    Text gets `charset=utf-8`, unless `content_types` names a charset.
    """
    extension = os.path.splitext(name)[1].lower()  # noqa: PTH122  a third of the time
    own = content_types or {}
    kind = own.get(extension[1:]) or own.get(extension) or _types().get(extension, UNKNOWN)
    return f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset=" not in kind else kind


def serve_file(
    path: str | os.PathLike[str],
    content_type: str | None = None,
    disposition: str | None = None,
    name: str | None = None,
    debug: bool = False,
    *,
    request: Request | None = None,
    max_ranges: int = MOST_RANGES,
) -> Any:
    """Answer with a file, wherever it lies; return the body, which a handler returns.

    Parameters:
        path: an absolute path. Of the program's own making: for paths from outside there is `staticdir`.
        content_type: the Content-Type; None for that of the extension.
        disposition: `attachment` or `inline`, for a Content-Disposition (RFC 6266).
        name: the file name in it; None for the name of the file.
        debug: whether to log what was done.
        request: the request; None for the one that is being answered.
        max_ranges: ranges of one request; more are ignored, and the file sent whole.

    Raises ValueError for a relative path, NotFound where there is no regular file that can be read,
    HTTPRedirect 304, HTTPError 412 and 416 as the conditions and ranges of the request have it.
    """
    request = _request(request)
    text = os.fspath(path)
    if not os.path.isabs(text):  # noqa: PTH117  a path of pathlib would be made
        raise ValueError(f"'{text}' is not an absolute path, and what it is relative to may change")
    source = open_file(text)
    if source is None:
        note(request, debug, f"there is no file {text}")
        raise NotFound
    describe(request, source, content_type or media_type(text), disposition, name or os.path.basename(text))  # noqa: PTH119  as above
    return send(request, source, max_ranges, debug=debug)


def serve_fileobj(
    fileobj: Any,
    content_type: str | None = None,
    disposition: str | None = None,
    name: str | None = None,
    debug: bool = False,
    *,
    request: Request | None = None,
    max_ranges: int = MOST_RANGES,
) -> Any:
    """Answer with an open binary file from where it stands, and close it; return the body.

    Parameters:
        fileobj: anything with `read`. One that can `seek` can be asked for ranges; one of the file system
            gets validators too; any other is streamed.
        content_type: the Content-Type; None for `application/octet-stream`, or that of the extension of
            `name`.

    All else is as for `serve_file`.
    """
    request = _request(request)
    source = _source_of(fileobj)
    describe(request, source, content_type or media_type(name or ""), disposition, name)
    return send(request, source, max_ranges, debug=debug)


def serve_download(
    path: str | os.PathLike[str], name: str | None = None, *, request: Request | None = None
) -> Any:
    """Answer with a file to be saved, never shown; see `serve_file`."""
    return serve_file(path, "application/x-download", "attachment", name, request=request)


def _request(request: Request | None) -> Request:
    found = current() if request is None else request
    if found is None:
        raise NoRequestError("a file can only be served while a request is being answered")
    return found


def note(request: Request, debug: bool, text: str) -> None:
    """Log what was done, if that is wanted."""
    if debug:
        request.app.log(text, "TOOLS.STATIC")


def _source_of(fileobj: Any) -> Source:
    try:
        start = fileobj.tell()
        end = fileobj.seek(0, os.SEEK_END)
        fileobj.seek(start)
    except (AttributeError, OSError, ValueError):
        return Source(fileobj, 0, -1, None)
    try:
        facts = os.fstat(fileobj.fileno())
    except (AttributeError, OSError, ValueError):
        facts = None
    return Source(fileobj, start, max(0, end - start), facts)


def describe(request: Request, source: Source, kind: str, disposition: str | None, name: str | None) -> None:
    """Set the fields that say what the file is. Closes it when they cannot be said."""
    headers = request.response.headers
    try:
        headers["Content-Type"] = kind
        headers.setdefault("X-Content-Type-Options", "nosniff")
        if disposition is not None:
            headers["Content-Disposition"] = format_disposition(disposition, name)
    except BaseException:
        source.close()
        raise


def send(request: Request, source: Source, limit: int, *, debug: bool = False) -> Any:
    """Make the file, or what the request wants of it, the response. Closes it, now or when it is sent."""
    response = request.response
    headers = response.headers
    if source.size < 0:
        response.stream = True
        response.body = FileBody(source.file)
        return response.body
    try:
        now = int(response.time)
        # RFC 9110 8.8.2.1: never later than the answer itself.
        modified = None if source.modified is None else min(source.modified, now)
        if modified is not None:
            headers["Last-Modified"] = format_date(modified)
        if source.etag is not None:
            headers["ETag"] = str(source.etag)
        headers["Accept-Ranges"] = "bytes"
        _check(request, source, modified, now)
        spans = _spans(request, source, modified, now, limit)
        response.body = _body(request, source, spans)
    except BaseException:
        source.close()
        raise
    note(request, debug, f"{source.size} bytes, ranges {spans}")
    return response.body


def _check(request: Request, source: Source, modified: int | None, now: int) -> None:
    """Raise what the conditions of the request ask for."""
    get = request.headers.get
    verdict = evaluate(
        request.method,
        now=now,
        etag=source.etag,
        last_modified=modified,
        if_match=get("If-Match"),
        if_none_match=get("If-None-Match"),
        if_modified_since=get("If-Modified-Since"),
        if_unmodified_since=get("If-Unmodified-Since"),
    )
    if verdict == 304:  # noqa: PLR2004  Not Modified
        raise HTTPRedirect([], 304)
    if verdict is not None:
        raise HTTPError(verdict)


def _spans(
    request: Request, source: Source, modified: int | None, now: int, limit: int
) -> list[tuple[int, int]] | None:
    """Return which ranges to send; None for everything. HTTPError 416 when none can be."""
    headers = request.headers
    field = headers.get("Range")
    # RFC 9110 14.2: only for GET. HTTP/1.0 has no 206.
    if field is None or request.method != "GET" or request.protocol < (1, 1):
        return None
    if not if_range(headers.get("If-Range"), etag=source.etag, last_modified=modified, now=now):
        return None
    spans = parse_range(field, source.size, limit)
    if spans == []:
        raise HTTPError(416, headers={"Content-Range": content_range(None, source.size)})
    return spans


def _body(request: Request, source: Source, spans: list[tuple[int, int]] | None) -> Any:
    response = request.response
    if spans is None:
        return _part(source, 0, source.size)
    response.status = 206
    if len(spans) == 1:
        start, stop = spans[0]
        response.headers["Content-Range"] = content_range(spans[0], source.size)
        return _part(source, start, stop - start)
    body = _Parts(source, spans, response.headers["Content-Type"])
    response.headers["Content-Type"] = f"multipart/byteranges; boundary={body.boundary}"
    response.headers["Content-Length"] = body.length
    response.stream = True
    return body


def _part(source: Source, start: int, length: int) -> Any:
    if length <= SMALL:
        data = source.read(start, length)
        source.close()
        return data
    return FileBody(source.file, source.start + start, length)


class _Parts:
    """A multipart/byteranges body (RFC 9110 14.6).

    Parameters:
        source: the file; closed by `close`.
        spans: ranges that do not overlap.
        kind: the Content-Type of the file.
    """

    def __init__(self, source: Source, spans: Sequence[tuple[int, int]], kind: str) -> None:
        from secrets import token_hex

        self.boundary = token_hex(16)
        self._source = source
        self._spans = spans
        self._heads = [
            f"\r\n--{self.boundary}\r\nContent-Type: {kind}\r\n"
            f"Content-Range: {content_range(span, source.size)}\r\n\r\n".encode("latin-1")
            for span in spans
        ]
        self._end = f"\r\n--{self.boundary}--\r\n".encode()
        self.length = sum(map(len, self._heads)) + sum(b - a for a, b in spans) + len(self._end)
        """Bytes in all of it."""

    def __iter__(self) -> Iterator[bytes]:
        for head, (start, stop) in zip(self._heads, self._spans, strict=True):
            yield head
            for place in range(start, stop, _BLOCK):
                # Less, where the file became shorter; the server then cuts the connection.
                yield self._source.read(place, min(_BLOCK, stop - place))
        yield self._end

    def close(self) -> None:
        """Close the file."""
        self._source.close()
