"""`tools.gzip`: pages compressed on their way out, by what the client takes (RFC 9110 8.4.1).

Compression tells by its length what a page repeats. A page that shows both a secret, such as a token against
forged requests, and something the client sent lets a stranger guess the secret (BREACH, CVE-2013-3587). The
tool is off until it is switched on; leave it off for such pages, or mask the secret anew in each.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from kirsch.http.accept import AcceptEncoding
from kirsch.http.etags import parse_etag
from kirsch.http.exchange import FileBody
from kirsch.http.grammar import split_members
from kirsch.http.status import no_content, valid_status
from kirsch.tools.vary import add_vary
from kirsch.web.errors import HTTPError
from kirsch.web.response import close_body, encode_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kirsch.http.headers import Headers
    from kirsch.web.request import Request
    from kirsch.web.response import Response

__all__ = ["CODINGS", "compress", "gzip", "installed"]

CODINGS: Final = ("br", "zstd", "gzip")
"""Content codings, the best first; br and zstd where their libraries are installed."""

MIN_SIZE: Final = 500
"""Bytes below which a page is left alone: it fits one packet as it is. As Starlette; Akamai takes 860."""

_NOT_MODIFIED: Final = 304
_PARTIAL: Final = 206
_ERRORS: Final = 400


class _Coder(Protocol):
    def add(self, data: bytes) -> bytes:
        """Take data; return what is ready."""

    def sync(self) -> bytes:
        """Return what is needed to decode everything so far."""

    def finish(self) -> bytes:
        """Return the rest."""


class _Gzip:
    def __init__(self, level: int) -> None:
        self._coder = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self.add = self._coder.compress

    def sync(self) -> bytes:
        return self._coder.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._coder.flush()


class _Brotli:
    def __init__(self, library: Any, level: int) -> None:
        self._coder = library.Compressor(quality=min(level, 11))
        self.add: Callable[[bytes], bytes] = self._coder.process
        self.sync: Callable[[], bytes] = self._coder.flush
        self.finish: Callable[[], bytes] = self._coder.finish


class _Zstandard:
    def __init__(self, library: Any, level: int) -> None:
        # RFC 9659: a window of 8 MiB at most, which the levels up to 19 keep to.
        self._coder = library.ZstdCompressor(level=min(level, 19))
        self.add: Callable[[bytes], bytes] = self._coder.compress

    def sync(self) -> bytes:
        data: bytes = self._coder.flush(self._coder.FLUSH_BLOCK)
        return data

    def finish(self) -> bytes:
        data: bytes = self._coder.flush(self._coder.FLUSH_FRAME)
        return data


_LIBRARIES: Final[dict[str, tuple[type[Any], tuple[str, ...]]]] = {
    "br": (_Brotli, ("brotli", "brotlicffi")),
    "zstd": (_Zstandard, ("compression.zstd", "backports.zstd")),
}


@lru_cache(maxsize=16)
def _maker(coding: str) -> Callable[[int], _Coder] | None:
    """Return what makes coders; None where the library is missing. ValueError for a coding nobody knows."""
    if coding == "gzip":
        return _Gzip
    if coding not in _LIBRARIES:
        raise ValueError(f"tools.gzip.encodings may hold {', '.join(CODINGS)}, not {coding!r}")
    kind, names = _LIBRARIES[coding]
    for name in names:
        try:
            library = import_module(name)
        except ImportError:
            continue
        return lambda level: kind(library, level)
    return None


def installed(encodings: Sequence[str] = CODINGS) -> list[str]:
    """Return those of `encodings` whose libraries are there. Raises ValueError for a coding nobody knows."""
    return [coding for coding in encodings if _maker(coding) is not None]


def compress(body: Any, coding: str = "gzip", level: int = 5, *, sync: bool = True) -> Iterator[bytes]:
    """Return the pieces of a body compressed; what it holds is closed with the iterator, read or not.

    Parameters:
        body: an iterable of bytes.
        coding: one of `CODINGS`.
        level: 0 to 9, as zlib has it.
        sync: whether a client can read each piece when it comes, at the cost of a few bytes for each.

    Raises ValueError for a coding that is unknown or not installed, and for another level.
    """
    maker = _maker(coding)
    if maker is None:
        raise ValueError(f"the library for {coding} is not installed: {' or '.join(_LIBRARIES[coding][1])}")
    if not 0 <= level <= 9:  # noqa: PLR2004  zlib's own
        raise ValueError(f"the level of compression is a number from 0 to 9, not {level!r}")
    return _Compressed(body, maker(level), sync=sync)


class _Compressed:
    """The pieces. No generator, as one that was never begun would not close the body."""

    def __init__(self, body: Any, coder: _Coder, *, sync: bool) -> None:
        self._body = body
        self._pieces = iter(body)
        self._coder = coder
        self._sync = sync
        self._ended = False

    def __iter__(self) -> _Compressed:
        return self

    def __next__(self) -> bytes:
        while not self._ended:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self._ended = True
                self.close()
                return self._coder.finish()
            data = self._coder.add(piece)
            if self._sync:
                data += self._coder.sync()
            if data:
                return data
        raise StopIteration

    def close(self) -> None:
        body, self._body = self._body, None
        close_body(body)


@lru_cache(maxsize=256)
def _pattern(mime_types: tuple[str, ...]) -> re.Pattern[str]:
    parts = "|".join(re.escape(kind.lower()).replace(r"\*", "[^/]*") for kind in mime_types)
    return re.compile(parts or "(?!)")


def gzip(
    request: Request,
    /,
    compress_level: int = 5,
    mime_types: Sequence[str] = ("text/html", "text/plain"),
    encodings: Sequence[str] = CODINGS,
    min_size: int = MIN_SIZE,
) -> None:
    """Compress the response.

    Parameters:
        compress_level: 0 to 9.
        mime_types: media types to compress; `text/*` and `application/*+json` mean what they say.
        encodings: codings to offer, the one liked best first.
        min_size: bytes below which a response is left alone, where that is known.

    Left alone are responses that are encoded already, parts (206), those with `no-transform`, and copies from
    `tools.caching`. A strong ETag becomes a weak one, as the bytes are not those it was made for. A stream is
    compressed piece by piece, each readable at once.

    HTTPError 406 for a client that takes neither a coding nor the page as it is (`identity;q=0`).
    """
    response = request.response
    headers = response.headers
    code = 200 if response.status is None else valid_status(response.status)[0]
    if not _compressible(request, code, mime_types):
        return
    accepted = AcceptEncoding.parse(request.headers.get("Accept-Encoding"))
    coding = accepted.best((*installed(encodings), "identity"))
    if code == _NOT_MODIFIED:
        add_vary(headers, "Accept-Encoding")
        if coding not in {None, "identity"}:
            # The tag the client got with the compressed page.
            _weaken(headers)
        return
    if not _worthwhile(response, min_size):
        return
    add_vary(headers, "Accept-Encoding")
    if coding is None and code < _ERRORS:
        close_body(response.body)
        raise HTTPError(
            406, "The page can be had as it is (identity), and encoded as " + ", ".join(encodings) + "."
        )
    if coding is None or coding == "identity":
        return
    _encode(response, coding, compress_level)


def _compressible(request: Request, code: int, mime_types: Sequence[str]) -> bool:
    headers = request.response.headers
    if code == _PARTIAL or "Content-Encoding" in headers or getattr(request, "cached", False):
        return False
    if code != _NOT_MODIFIED and (no_content(code) or request.response.body in (None, b"", "")):
        return False
    if any(one.lower() == "no-transform" for one in split_members(headers.get("Cache-Control", ""))):
        return False
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return _pattern(tuple(mime_types)).fullmatch(kind) is not None


def _worthwhile(response: Response, min_size: int) -> bool:
    body = response.body
    if isinstance(body, FileBody):
        return body.length < 0 or body.length >= min_size
    if response.stream and not isinstance(body, (bytes, str)):
        return True
    return len(response.collapse_body()) >= min_size


def _encode(response: Response, coding: str, level: int) -> None:
    headers = response.headers
    body = response.body
    if isinstance(body, bytes):
        response.body = b"".join(compress((body,), coding, level, sync=False))
    elif isinstance(body, FileBody):
        response.body = compress(body, coding, level, sync=False)
        response.stream = True
    else:
        response.body = compress(encode_body(body, response.charset()), coding, level)
    headers["Content-Encoding"] = coding
    _weaken(headers)
    for name in ("Content-Length", "Accept-Ranges", "Content-MD5"):
        headers.remove(name)


def _weaken(headers: Headers) -> None:
    tag = parse_etag(headers.get("ETag", ""))
    if tag is not None:
        headers["ETag"] = str(tag._replace(weak=True))
