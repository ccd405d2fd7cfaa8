"""Forms: urlencoded (WHATWG URL) and multipart (RFC 7578).

Every limit is a 413, everything malformed a 400.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kirsch.http.headers import Headers
from kirsch.http.media import decode_ext_value
from kirsch.http.urls import TooManyFieldsError, parse_query
from kirsch.web.errors import HTTPError
from kirsch.web.params import merge_params

if TYPE_CHECKING:
    import multipart  # type: ignore[import-untyped]  # it ships no types

    from kirsch.web.body import RequestBody

__all__ = ["Part", "read_multipart", "read_urlencoded", "safe_filename"]

_LONGEST_BOUNDARY = 70
"""Characters of a boundary (RFC 2046 5.1.1)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_EXTENDED = re.compile(r";\s*filename\*\s*=\s*([^;\s]+)", re.IGNORECASE)


_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
}
"""Charsets of forms. Not whatever Python knows: some of its codecs take quadratic time, or are no
charsets."""


class Part:
    """A file of a multipart form. Its file is closed when the request is over.

    Parameters:
        name: name of the form field.
        filename: the client's name for the file, reduced by `safe_filename`.
        raw_filename: the client's name as it was sent. Never use it as a path.
        headers: fields of the part.
        file: its content, at its start; a temporary file when it is large.
    """

    __slots__ = ("file", "filename", "headers", "name", "raw_filename", "size")

    def __init__(self, name: str, filename: str, raw_filename: str, headers: Headers, file: BinaryIO) -> None:
        self.name = name
        self.filename = filename
        self.raw_filename = raw_filename
        self.headers = headers
        self.file = file
        self.size = 0
        """Bytes in the file."""

    @property
    def content_type(self) -> str:
        """The Content-Type the client gave; text/plain without one (RFC 7578 4.4). Not to be trusted."""
        return self.headers.get("Content-Type", "text/plain")

    def fullvalue(self) -> bytes:
        """Return the whole content; the position in the file is kept."""
        place = self.file.tell()
        self.file.seek(0)
        data = self.file.read()
        self.file.seek(place)
        return data

    def __repr__(self) -> str:
        return f"<Part {self.name!r}, file {self.filename!r}, {self.size} bytes>"


def safe_filename(name: str) -> str:
    """Return the last component of `name`, by either kind of slash, without control characters.

    Empty when nothing is left, as of `..`. It is fit to be shown; a file is better stored under a name of
    one's own.
    """
    last = re.split(r"[/\\]", _CONTROL.sub("", name))[-1].strip()
    return "" if last in {".", ".."} else last


def read_urlencoded(body: RequestBody) -> None:
    """Read an application/x-www-form-urlencoded body into `body.params`."""
    data = body.read_all(body.max_form)
    charset = body.content_type[1].get("charset", "utf-8")
    try:
        pairs = parse_query(data, limit=body.max_fields, encoding=_codec(charset), strict=True)
    except TooManyFieldsError as error:
        raise HTTPError(413, f"The form has {error.count} fields; at most {error.limit} are read.") from None
    except (UnicodeDecodeError, LookupError):
        raise HTTPError(400, f"The form is not in the charset {charset}.") from None
    merge_params(body.params, pairs)


def _codec(charset: str) -> str:
    """Return Python's name for a charset of forms; LookupError for another."""
    return _CHARSETS[charset.lower()]


def read_multipart(body: RequestBody) -> None:
    """Read a multipart/form-data body: fields and files into `body.params`, files into `body.parts` too."""
    import multipart  # late: only uploads need it, and it brings the standard library's e-mail headers

    boundary = body.content_type[1].get("boundary", "")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise HTTPError(400, "The Content-Type names no valid boundary.")
    reader = _Reader(body)
    try:
        with multipart.PushMultipartParser(
            boundary,
            content_length=body.length,
            max_header_size=body.max_part_header,
            max_header_count=body.max_part_headers,
            max_segment_count=body.max_fields,
            strict=True,
        ) as parser:
            for data in body.blocks():
                for event in parser.parse(data):
                    reader.take(event)
    except multipart.ParserLimitReached as error:
        raise HTTPError(413, f"The form is too large: {error}.") from None
    except multipart.MultipartError as error:
        raise HTTPError(400, f"The form is malformed: {error}.") from None


class _Reader:
    """Collects the events of the parser into fields and files, within the limits of `body`."""

    def __init__(self, body: RequestBody) -> None:
        self._body = body
        self._fields_left = body.max_form
        self._part: Part | None = None
        self._name = ""
        self._charset = "utf-8"
        self._chunks: list[bytes] = []

    def take(self, event: Any) -> None:
        """Take an event: the head of a segment, a piece of it, or None for its end."""
        if event is None:
            self._end()
        elif not isinstance(event, (bytes, bytearray)):
            self._begin(event)
        elif self._part is not None:
            self._part.file.write(event)
            self._part.size += len(event)
        else:
            self._fields_left -= len(event)
            if self._fields_left < 0:
                raise HTTPError(413, f"The fields have more than {self._body.max_form} bytes.")
            self._chunks.append(bytes(event))

    def _begin(self, segment: multipart.MultipartSegment) -> None:
        self._name = segment.name or ""
        raw = _filename(segment)
        if raw is None:
            self._chunks = []
            self._charset = segment.charset or "utf-8"
            return
        if len(self._body.parts) >= self._body.max_files:
            raise HTTPError(413, f"The form has more than {self._body.max_files} files.")
        from tempfile import SpooledTemporaryFile

        # Made here and not in a `with`: it lives as long as the request and `RequestBody.close` closes it.
        file = cast("BinaryIO", SpooledTemporaryFile(self._body.file_memory))  # noqa: SIM115  see above
        headers = Headers.trusted(list(segment.headerlist))
        self._part = Part(self._name, safe_filename(raw), raw, headers, file)
        self._body.parts.append(self._part)

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.file.seek(0)
            merge_params(self._body.params, [(part.name, part)])
            return
        try:
            text = b"".join(self._chunks).decode(_codec(self._charset))
        except (UnicodeDecodeError, LookupError):
            raise HTTPError(400, f"The field {self._name!r} is not in the charset {self._charset}.") from None
        merge_params(self._body.params, [(self._name, text)])


def _filename(segment: multipart.MultipartSegment) -> str | None:
    """Return the file name of a part, None if it has none.

    RFC 7578 4.2 forbids `filename*`, some clients send it.
    """
    extended = _EXTENDED.search(segment.header("Content-Disposition", ""))
    if extended is not None:
        decoded = decode_ext_value(extended[1])
        if decoded is not None:
            return decoded
    filename: str | None = segment.filename
    return filename
