"""The body of a request: read as it is, or taken apart by a processor for its media type."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from kirsch.http.media import parse_content_type
from kirsch.http.urls import MOST_FIELDS
from kirsch.web import forms
from kirsch.web.errors import HTTPError
from kirsch.web.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kirsch.http.headers import Headers

__all__ = ["RequestBody"]

_BLOCK = 65536


class RequestBody:
    """The body of one request. Owned by the thread that answers it.

    Parameters:
        file: the bytes, readable from the start; None for an empty body.
        length: bytes in it; -1 when it ends where `file` ends.
        headers: the fields of the request.

    Attributes can be set by configuration, as `request.body.max_fields`.
    """

    max_bytes: int | None = None
    """Bytes a processor may read; more is answered 413. None for the server's limit alone."""
    max_form: int = 2_500_000
    """Bytes of an urlencoded form, and of all fields of a multipart form that are not files. Django allows as
    much; Werkzeug 500 000."""
    max_fields: int = MOST_FIELDS
    """Fields of a form. As PHP's `max_input_vars`, and Django."""
    max_files: int = 100
    """Files of a multipart form. As Django."""
    max_part_header: int = 4096
    """Bytes of one header line of a part."""
    max_part_headers: int = 8
    """Header lines of a part. RFC 7578 knows three; multipart's own default is eight."""
    file_memory: int = 65_536
    """Bytes of an uploaded file that are kept in memory; a longer one goes to a temporary file."""

    def __init__(self, file: BinaryIO | None, length: int, headers: Headers) -> None:
        self.file: BinaryIO = BytesIO() if file is None else file
        """The bytes."""
        self.length = 0 if file is None else length
        """Bytes in it, -1 when that is not known."""
        self.headers = headers
        """Fields of the request."""
        self.processors: dict[str, Callable[[RequestBody], object]] = dict(_PROCESSORS)
        """What takes a body apart, by media type, by `type/`, or by `""` for what has neither. Belongs to
        this
        request; a processor fills `params`."""
        self.params: dict[str, Any] = {}
        """What a processor found, by name; a name that came more than once has a list."""
        self.parts: list[forms.Part] = []
        """Files of a multipart form, in order."""

    @lazy
    def content_type(self) -> tuple[str, dict[str, str]]:
        """Media type in lower case and its parameters; `("", {})` without a valid Content-Type."""
        field = self.headers.get("Content-Type")
        return (parse_content_type(field) if field else None) or ("", {})

    def process(self) -> None:
        """Take the body apart if there is a processor for its media type, else leave it to be read.

        Raises HTTPError: 400 for what is malformed, 413 for what is more than the limits allow.
        """
        if self.max_bytes is not None and self.length > self.max_bytes:
            raise HTTPError(413, f"The body has {self.length} bytes; at most {self.max_bytes} are allowed.")
        media = self.content_type[0]
        found = self.processors.get(media) or self.processors.get(media.partition("/")[0] + "/")
        processor = found or self.processors.get("")
        if processor is not None:
            try:
                processor(self)
            except BaseException:
                # Nobody will see the files of a form that was refused.
                self.close()
                raise

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that are left by default; b"" at the end."""
        return self.file.read(size)

    def readline(self, size: int = -1) -> bytes:
        """Return the next line with its end, at most `size` bytes of it."""
        return self.file.readline(size)

    def __iter__(self) -> Iterator[bytes]:
        """Go through the lines."""
        return iter(self.file.readline, b"")

    def read_all(self, limit: int) -> bytes:
        """Return the whole body; HTTPError 413 if it is longer than `limit` bytes, 400 if cut short."""
        if self.length > limit:
            raise HTTPError(413, f"The body has {self.length} bytes; at most {limit} are allowed.")
        data = self.file.read(limit + 1 if self.length < 0 else self.length)
        if len(data) > limit:
            raise HTTPError(413, f"The body has more than the {limit} bytes that are allowed.")
        if len(data) < self.length:
            raise HTTPError(400, "The body ended before its declared length.")
        return data

    def blocks(self) -> Iterator[bytes]:
        """Yield the body in blocks; HTTPError 400 if it was cut short."""
        read = 0
        while data := self.file.read(_BLOCK):
            read += len(data)
            if self.max_bytes is not None and read > self.max_bytes:
                raise HTTPError(413, f"The body has more than the {self.max_bytes} bytes that are allowed.")
            yield data
        if read < self.length:
            raise HTTPError(400, "The body ended before its declared length.")

    def close(self) -> None:
        """Close the files of a form; what was uploaded and not copied is gone then."""
        for part in self.parts:
            part.file.close()


_PROCESSORS: dict[str, Callable[[RequestBody], object]] = {
    "application/x-www-form-urlencoded": forms.read_urlencoded,
    "multipart/form-data": forms.read_multipart,
}
